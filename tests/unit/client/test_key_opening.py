"""Putting a key together: which k shares arrive, who lies and how, and who is named for it."""

import base64
import json
import random
import time
from collections.abc import Callable
from itertools import combinations
from typing import Any

import msgspec
import pytest

from authnet_client.committee import Member, ServingCommittee
from authnet_client.opening import Opening
from authnet_client.outcomes import Reports
from authnet_client.session import LoginSession
from authnet_client.wire import ShareAnswer
from authnet_core.crypto import ecies
from authnet_core.crypto.ecdsa import sign_recoverable
from authnet_core.crypto.hashing import keccak256
from authnet_core.crypto.secp256k1 import Q, decompress, pub, scalar_bytes
from authnet_core.crypto.shamir import evaluate
from authnet_core.protocol.committee import Committee

USER = "bob@example.com"
NOW = time.time()
Change = Callable[[dict[str, Any]], None]


class World:
    """One key of one committee and a login session, all secrets known."""

    def __init__(self, n: int = 5) -> None:
        sizes = Committee.of(n)
        rng = random.Random(n)
        self.k = sizes.k
        self.coefficients = [rng.randrange(1, Q) for _ in range(sizes.k)]
        self.nonce = rng.randrange(1, Q)
        self.service = {i: scalar_bytes(2000 + i) for i in range(1, n + 1)}
        members = {
            i: Member(i, f"http://127.0.0.1:{i}", pub(100 + i).hex(), pub(key).hex()) for i, key in self.service.items()
        }
        self.committee = ServingCommittee("net", 1, sizes.k, sizes.t, members)
        self.session = LoginSession.start("net", "google")
        self.reports = Reports(members)
        self.opening = Opening(self.committee, self.session, self.reports, frozenset({USER}))

    def box(self, plaintext: bytes, to: bytes | None = None) -> ecies.Ecies:
        return ecies.encrypt(to or self.session.temp_pub, plaintext)

    def token(self, index: int, **changes: Any) -> tuple[bytes, bytes]:
        xy = decompress(self.session.temp_pub).hex()
        body = {
            "exp": NOW + 60,
            "temp_key_x": xy[:64],
            "temp_key_y": xy[64:],
            "verifier_name": "google",
            "verifier_id": USER,
        } | changes
        body["exp"] = int(body["exp"])
        raw = json.dumps(body).encode()
        return raw, sign_recoverable(self.service[index], keccak256(base64.b64encode(raw)))

    def answer(
        self,
        index: int,
        *,
        share: int | None = None,
        nonce: int | None = None,
        key: int | None = None,
        token: tuple[bytes, bytes] | None = None,
        change: Change | None = None,
    ) -> ShareAnswer:
        y = decompress(pub(key or self.coefficients[0])).hex()
        n = decompress(pub(self.nonce)).hex()
        value = evaluate(self.coefficients, index) if share is None else share
        share_box = self.box(scalar_bytes(value))
        nonce_box = self.box(scalar_bytes(self.nonce if nonce is None else nonce))
        token_box, sig_box = (self.box(part) for part in token or self.token(index))
        fields: dict[str, Any] = {
            "keys": [
                {
                    "index": "2a",
                    "public_key": {"X": y[:64], "Y": y[64:]},
                    "node_index": str(index),
                    "share": base64.b64encode(share_box.ciphertext.hex().encode()).decode(),
                    "share_metadata": meta(share_box),
                    "nonce_data": {
                        "pubNonce": {"x": n[:64], "y": n[64:]},
                        "nonce_enc": meta(nonce_box) | {"ciphertext": nonce_box.ciphertext.hex()},
                    },
                }
            ],
            "session_tokens": [token_box.ciphertext.hex()],
            "session_token_metadata": [meta(token_box)],
            "session_token_sigs": [sig_box.ciphertext.hex()],
            "session_token_sig_metadata": [meta(sig_box)],
        }
        if change is not None:
            change(fields)
        return msgspec.convert(fields, ShareAnswer)

    def add(self, index: int, **how: Any) -> None:
        self.reports.ok(index, 1.0)
        self.opening.add(index, self.answer(index, **how))

    def opens(self) -> bool:
        opened = self.opening.opened
        if opened is None:
            return False
        assert opened.postbox == self.coefficients[0]
        assert opened.nonce == self.nonce
        return True


def meta(box: ecies.Ecies) -> dict[str, str]:
    return {"iv": box.iv.hex(), "ephemPublicKey": box.ephem_public_key.hex(), "mac": box.mac.hex()}


@pytest.mark.parametrize("n", [5, 6, 9])
def test_any_k_shares_open_the_key_and_k_minus_one_do_not(n: int) -> None:
    for subset in list(combinations(range(1, n + 1), Committee.of(n).k))[:40]:
        world = World(n)
        for index in subset[:-1]:
            world.add(index)
        assert not world.opens(), subset
        world.add(subset[-1])
        assert world.opens(), subset
        assert world.reports.bad_nodes() == ()


@pytest.mark.parametrize("liars", [*combinations(range(1, 6), 1), *combinations(range(1, 6), 2)])
def test_wrong_shares_are_found_whatever_subset_sends_them(liars: tuple[int, ...]) -> None:
    world = World(5)
    for index in range(1, 6):
        world.add(index, share=index * 7 + 1 if index in liars else None)
    assert world.opens()
    assert world.reports.bad_nodes() == liars


def test_a_liar_who_answers_after_the_key_is_open_is_named_too() -> None:
    world = World(5)
    for index in (1, 2, 3):
        world.add(index)
    assert world.opens()
    world.add(4, share=123)
    world.add(5, key=999)
    assert world.reports.bad_nodes() == (4, 5)


def test_three_liars_of_five_leave_the_key_closed() -> None:
    world = World(5)
    for index in range(1, 6):
        world.add(index, share=5 if index > 2 else None)
    assert not world.opens()


def test_a_forged_key_of_fewer_than_k_nodes_is_not_believed() -> None:
    world = World(5)
    for index in (1, 2):
        world.add(index, key=31337)
    for index in (3, 4, 5):
        world.add(index)
    assert world.opens()
    assert world.reports.bad_nodes() == (1, 2)


def test_a_wrong_nonce_is_named_and_another_node_s_is_used() -> None:
    world = World(5)
    world.add(1, nonce=77)
    world.add(2)
    world.add(3)
    assert world.opens()
    assert world.reports.bad_nodes() == (1,)


def test_k_wrong_nonces_keep_the_key_closed_until_a_right_one_comes() -> None:
    world = World(5)
    for index in (1, 2, 3):
        world.add(index, nonce=77)
    assert not world.opens()
    world.add(4)
    assert world.opens()
    assert world.reports.bad_nodes() == (1, 2, 3)


def _set(path: str, value: Any) -> Change:
    *places, last = path.split(".")

    def change(fields: dict[str, Any]) -> None:
        here: Any = fields["keys"][0]
        for place in places:
            here = here[place]
        here[last] = value

    return change


@pytest.mark.parametrize(
    "change",
    [
        _set("node_index", "2"),
        _set("node_index", ""),
        _set("share", "!!!"),
        _set("share", base64.b64encode(b"zz").decode()),
        _set("share", ""),
        _set("share_metadata.mac", "00" * 32),
        _set("share_metadata.iv", "00" * 16),
        _set("share_metadata.iv", "0"),
        _set("share_metadata.ephemPublicKey", "04" + "11" * 64),
        _set("share_metadata.ephemPublicKey", ""),
        _set("public_key.X", "11" * 32),
        _set("public_key.X", "x"),
        _set("public_key.X", "f" * 200),
        _set("nonce_data.pubNonce.x", ""),
        lambda fields: fields.update(keys=[]),
        lambda fields: fields.update(keys=fields["keys"] * 2),
    ],
)
def test_a_malformed_answer_costs_nothing_but_its_node(change: Change) -> None:
    world = World(5)
    world.add(1, change=change)
    assert world.reports.bad_nodes() == (1,)
    for index in (2, 3, 4):
        world.add(index)
    assert world.opens()
    assert world.reports.bad_nodes() == (1,)


def test_a_share_that_is_no_canonical_scalar_is_refused() -> None:
    world = World(5)
    box = world.box((Q + 1).to_bytes(32, "big"))

    def change(fields: dict[str, Any]) -> None:
        fields["keys"][0]["share"] = base64.b64encode(box.ciphertext.hex().encode()).decode()
        fields["keys"][0]["share_metadata"] = meta(box)

    world.add(1, change=change)
    assert world.reports.bad_nodes() == (1,)


def test_a_missing_nonce_is_a_wrong_nonce() -> None:
    world = World(5)
    world.add(1, change=lambda fields: fields["keys"][0]["nonce_data"].pop("nonce_enc"))
    for index in (2, 3):
        world.add(index)
    assert world.opens()
    assert world.reports.bad_nodes() == (1,)


def test_an_upgraded_account_opens_without_a_nonce() -> None:
    world = World(5)

    def change(fields: dict[str, Any]) -> None:
        fields["keys"][0]["nonce_data"]["upgraded"] = True
        fields["keys"][0]["nonce_data"].pop("nonce_enc")

    for index in (1, 2, 3):
        world.add(index, change=change)
    assert world.opening.opened is not None
    assert world.opening.opened.nonce is None


def test_session_tokens_are_checked_and_returned() -> None:
    world = World(5)
    for index in (1, 2, 3):
        world.add(index)
    tokens = world.opening.session_tokens(NOW)
    assert [token.index for token in tokens] == [1, 2, 3]
    assert json.loads(base64.b64decode(tokens[0].token))["verifier_id"] == USER


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": NOW - 1},
        {"temp_key_x": "00" * 32},
        {"verifier_name": "apple"},
        {"verifier_id": "mallory@example.com"},
    ],
)
def test_a_session_token_for_something_else_is_left_out_and_named(changes: dict[str, Any]) -> None:
    world = World(5)
    world.add(1, token=world.token(1, **changes))
    for index in (2, 3):
        world.add(index)
    assert [token.index for token in world.opening.session_tokens(NOW)] == [2, 3]
    assert world.reports.bad_nodes() == (1,)


def test_a_session_token_signed_by_another_node_is_left_out_and_named() -> None:
    world = World(5)
    world.add(1, token=world.token(2))
    for index in (2, 3):
        world.add(index)
    assert [token.index for token in world.opening.session_tokens(NOW)] == [2, 3]
    assert world.reports.bad_nodes() == (1,)


def test_nothing_secret_shows_in_a_repr() -> None:
    world = World(5)
    for index in (1, 2, 3):
        world.add(index)
    shown = repr((world.session, world.opening.opened, vars(world.opening)))
    for secret in (world.session.secret, scalar_bytes(world.coefficients[0]), scalar_bytes(world.nonce)):
        assert secret.hex() not in shown
        assert str(int.from_bytes(secret, "big")) not in shown
        assert repr(secret)[2:-1] not in shown
