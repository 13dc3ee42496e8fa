"""Counting what nodes say about an account: agreed, disagreed, and what can not be true."""

from itertools import combinations

import pytest

from authnet_client.committee import Member, ServingCommittee
from authnet_client.link import Answer
from authnet_client.resolve import Look, ResolveAnswer
from authnet_core.crypto.address import eip55_address
from authnet_core.crypto.secp256k1 import add, pub
from authnet_core.errors import AuthnetError, Code
from authnet_core.protocol.accounts import account_id

USER = "bob@example.com"


def committee(n: int, k: int, t: int) -> ServingCommittee:
    members = {i: Member(i, f"http://127.0.0.1:{i}", pub(100 + i).hex()) for i in range(1, n + 1)}
    return ServingCommittee("net", 1, k, t, members)


def said(index: int, secret: int = 5, **changes: object) -> ResolveAnswer:
    y, n = pub(secret), pub(9)
    final = add(y, n)
    assert final is not None
    fields: dict[str, object] = {
        "account_id": account_id("net", "google", USER).hex(),
        "key_index": secret,
        "Y": y.hex(),
        "N": n.hex(),
        "final_pub": final.hex(),
        "address": eip55_address(final),
        "is_new": False,
        "height": 10 + index,
        "node_index": index,
    }
    return ResolveAnswer(**{**fields, **changes})  # type: ignore[arg-type]


def look_with(answers: dict[int, ResolveAnswer | AuthnetError], n: int = 5, k: int = 3, t: int = 1) -> Look:
    look = Look(committee(n, k, t), "google", USER)
    for index, answer in answers.items():
        if isinstance(answer, AuthnetError):
            look.add(Answer(index, 1.0, error=answer))
        else:
            look.add(Answer(index, 1.0, answer))
    return look


def test_k_equal_answers_decide_and_not_fewer() -> None:
    look = look_with({1: said(1), 2: said(2)})
    assert not look.is_decided
    look.add(Answer(4, 1.0, said(4)))
    assert look.is_decided
    assert look.result().agreed == (1, 2, 4)
    assert look.result().height == 14


@pytest.mark.parametrize("liars", list(combinations(range(1, 6), 2)))
def test_two_liars_of_five_are_named_and_change_nothing(liars: tuple[int, ...]) -> None:
    found = look_with({i: said(i, 666 if i in liars else 5) for i in range(1, 6)}).result()
    assert pub(5).hex() == found.Y
    assert found.disagreed == liars
    assert set(found.agreed).isdisjoint(liars)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"address": "0x" + "11" * 20}, "address"),
        ({"final_pub": pub(77).hex()}, "address"),
        ({"N": pub(8).hex()}, "address"),
        ({"Y": "02" + "ff" * 32}, "point"),
        ({"Y": "zz"}, "point"),
        ({"Y": ""}, "point"),
        ({"account_id": "00" * 32}, "another account"),
        ({"node_index": 2}, "answers as node 2"),
    ],
)
def test_an_answer_that_can_not_be_true_is_the_nodes_fault(changes: dict[str, object], why: str) -> None:
    answers: dict[int, ResolveAnswer | AuthnetError] = {i: said(i) for i in (2, 3, 4)}
    found = look_with({1: said(1, **changes), **answers}).result()
    assert found.disagreed == (1,)
    assert why in found.nodes[0].message


def test_k_nodes_with_one_false_address_do_not_convince() -> None:
    look = look_with({i: said(i, address="0x" + "11" * 20) for i in range(1, 6)})
    with pytest.raises(AuthnetError) as caught:
        look.result()
    assert caught.value.code is Code.NODES_DISAGREE


def test_split_answers_name_who_said_what() -> None:
    with pytest.raises(AuthnetError) as caught:
        look_with({1: said(1), 2: said(2), 3: said(3, 6), 4: said(4, 6)}).result()
    assert caught.value.code is Code.NODES_DISAGREE
    assert [node["index"] for node in caught.value.detail["nodes"]] == [1, 2, 3, 4]


def test_an_unknown_verifier_is_the_nodes_common_answer() -> None:
    refusal = AuthnetError(Code.VERIFIER_UNKNOWN, "Verifier not supported")
    with pytest.raises(AuthnetError) as caught:
        look_with({**dict.fromkeys((1, 2, 3), refusal), 4: said(4)}).result()
    assert caught.value.code is Code.VERIFIER_UNKNOWN


def test_fewer_refusals_than_could_be_lies_do_not_decide() -> None:
    refusal = AuthnetError(Code.VERIFIER_UNKNOWN, "Verifier not supported")
    down = AuthnetError(Code.NETWORK_DOWN, "not reachable")
    with pytest.raises(AuthnetError) as caught:
        look_with({1: refusal, 2: refusal, 3: down, 4: down, 5: down}).result()
    assert caught.value.code is Code.TOO_FEW_NODES
    assert "node 3: not reachable" in caught.value.message


def test_at_six_nodes_three_refusals_alike_may_all_be_lies() -> None:
    """k is 4 there, so three nodes may lie; three honest ones who say otherwise are too few to be believed as well."""
    absent = AuthnetError(Code.ACCOUNT_NOT_FOUND, "the account has no key")
    said_by = {i: said(i) for i in (4, 5, 6)}
    with pytest.raises(AuthnetError) as caught:
        look_with({**dict.fromkeys((1, 2, 3), absent), **said_by}, 6, 4, 1).result()
    assert caught.value.code is Code.TOO_FEW_NODES
    assert [node["code"] for node in caught.value.detail["nodes"]] == ["ACCOUNT_NOT_FOUND"] * 3
    with pytest.raises(AuthnetError) as caught:
        look_with({**dict.fromkeys((1, 2, 3, 4), absent), 5: said(5), 6: said(6)}, 6, 4, 1).result()
    assert caught.value.code is Code.ACCOUNT_NOT_FOUND


def test_nobody_reachable_is_a_network_that_is_down() -> None:
    down = AuthnetError(Code.NETWORK_DOWN, "not reachable")
    with pytest.raises(AuthnetError) as caught:
        look_with(dict.fromkeys(range(1, 6), down)).result()
    assert caught.value.code is Code.NETWORK_DOWN
    assert [node["code"] for node in caught.value.detail["nodes"]] == ["NETWORK_DOWN"] * 5


@pytest.mark.parametrize(("flags", "new"), [((1, 1, 0), True), ((1, 0, 0), False)])
def test_is_new_is_what_most_say(flags: tuple[int, ...], new: bool) -> None:
    answers: dict[int, ResolveAnswer | AuthnetError] = {
        i: said(i, is_new=bool(flag)) for i, flag in enumerate(flags, start=1)
    }
    assert look_with(answers).result().is_new is new


@pytest.mark.parametrize("user", ["", "   ", "x" * 513, "\ud800"])
def test_an_id_that_is_none_is_refused_before_anything_is_sent(user: str) -> None:
    with pytest.raises(AuthnetError) as caught:
        Look(committee(5, 3, 1), "google", user)
    assert caught.value.code is Code.BAD_PARAMS
