"""What a thief of tokens, receipts or nodes may try at a login, and the code with which it fails.

Each test stands at the public API and at api.sock, says the precise refusal at every node, and shows beside it
that the same request without the crime works. The thief owns real identity keys where a line needs them: what
k-1 bad nodes could sign is signed here.
"""

from __future__ import annotations

import itertools
import secrets
from typing import Any

import pytest

from authnet_core.crypto import secp256k1
from authnet_core.protocol.session_binding import session_nonce
from tests.e2e.doors import (
    DOORS,
    Ask,
    Door,
    SessionKey,
    bound_token,
    commit_at,
    everywhere,
    forge,
    one_round,
    open_key,
    share_codes,
    two_rounds,
)
from tests.e2e.net import Net
from tests.e2e.secrets_of_run import hex_strings

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]
VERIFIER = "mock-google"


@pytest.fixture(params=sorted(DOORS))
def door(request: pytest.FixtureRequest, net: Net) -> Door:
    return DOORS[request.param](net)


@pytest.fixture(scope="module")
def identities(net: Net) -> dict[int, bytes]:
    """Every node's identity key, as the ops socket of a development network shows it."""
    found = {}
    for j in net.indexes:
        wanted = net.node(j).identity_pub
        scalars = (bytes.fromhex(text) for text in hex_strings(net.ops(j, "dev_secrets")) if len(text) == 64)
        found[j] = next(s for s in scalars if 0 < int.from_bytes(s, "big") < secp256k1.Q and _pub(s) == wanted)
    return found


def _pub(secret: bytes) -> str:
    return secp256k1.pub(secret).hex()


@pytest.fixture
def user() -> str:
    return f"user-{secrets.token_hex(6)}@example.com"


def quorum(net: Net) -> int:
    return net.n - net.t


# -- receipts


def test_receipts_all_from_one_node(door: Door, net: Net, user: str, identities: dict[int, bytes]) -> None:
    key, token = SessionKey.fresh(), net.token(VERIFIER, user)
    (paper,) = commit_at(door, [1], token, key, VERIFIER)
    copies = (paper,) * net.n
    assert share_codes(door, Ask(VERIFIER, user, token, copies)) == {"RECEIPTS_TOO_FEW"}
    # A bad node speaks for everybody: its own signature under every index, and with other times.
    posing = tuple(forge(paper, identities[1], node_index=j) for j in net.indexes)
    again = tuple(forge(paper, identities[1], time_s=_time(paper.text) - s) for s in range(net.n))
    assert share_codes(door, Ask(VERIFIER, user, token, posing + again)) == {"RECEIPTS_TOO_FEW"}
    papers = (paper, *commit_at(door, list(net.indexes)[1:], token, key, VERIFIER))
    assert open_key(door, Ask(VERIFIER, user, token, papers), key)


def _time(text: str) -> int:
    return int(text.split("\x1c")[5])


def test_fewer_receipts_than_the_quorum(door: Door, net: Net, user: str) -> None:
    key, token = SessionKey.fresh(), net.token(VERIFIER, user)
    few = commit_at(door, range(1, quorum(net)), token, key, VERIFIER)
    assert share_codes(door, Ask(VERIFIER, user, token, few)) == {"RECEIPTS_TOO_FEW"}
    enough = few + commit_at(door, [quorum(net)], token, key, VERIFIER)
    assert open_key(door, Ask(VERIFIER, user, token, enough), key)


def test_junk_among_the_receipts_costs_no_login(door: Door, net: Net, user: str) -> None:
    """The keepers ask one another for receipts already given: one bad node's junk is no refusal."""
    key, token = SessionKey.fresh(), net.token(VERIFIER, user)
    papers = commit_at(door, net.indexes, token, key, VERIFIER)
    junk = commit_at(door, [1], net.token(VERIFIER, user), SessionKey.fresh(), VERIFIER)
    assert open_key(door, Ask(VERIFIER, user, token, (*junk, *papers[: quorum(net) - 1])), key)


def test_receipts_for_another_session_key(door: Door, net: Net, user: str, identities: dict[int, bytes]) -> None:
    victim, thief, token = SessionKey.fresh(), SessionKey.fresh(), net.token(VERIFIER, user)
    papers = commit_at(door, net.indexes, token, victim, VERIFIER)
    # The thief's T in the victim's receipts: of honest nodes without their signature, of k-1 bad ones with it.
    bad = range(1, net.k)
    swapped = tuple(forge(p, identities[p.node_index if p.node_index in bad else 1], temp_pub=thief.xy) for p in papers)
    assert share_codes(door, Ask(VERIFIER, user, token, swapped)) == {"RECEIPTS_TOO_FEW"}
    mixed = (*swapped[: net.k - 1], *papers[net.k - 1 : net.n - 1])
    released = everywhere(net.indexes, lambda j: door.share(j, Ask(VERIFIER, user, token, mixed, thief)))
    for answer in released.values():
        assert answer.released or answer.code == "RECEIPTS_TOO_FEW"
        if answer.released:
            with pytest.raises(ValueError, match="MAC"):
                answer.released.open(thief)
    assert open_key(door, Ask(VERIFIER, user, token, papers), victim)


def test_the_victims_receipts_release_to_the_victim_only(door: Door, net: Net, user: str) -> None:
    victim, thief, token = SessionKey.fresh(), SessionKey.fresh(), net.token(VERIFIER, user)
    papers = commit_at(door, net.indexes, token, victim, VERIFIER)
    answers = everywhere(net.indexes, lambda j: door.share(j, Ask(VERIFIER, user, token, papers, thief)))
    for answer in answers.values():
        assert answer.released or answer.code in {"RECEIPTS_TOO_FEW", "BAD_PARAMS"}
        if answer.released:
            with pytest.raises(ValueError, match="MAC"):
                answer.released.open(thief)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"network_id": "another-network"}, id="of another chain"),
        pytest.param({"verifier": "mock-apple"}, id="of another verifier"),
        pytest.param({"epoch": 0}, id="of an old epoch"),
        pytest.param({"epoch": 2}, id="of an epoch to come"),
        pytest.param({"time_s": 1_700_000_000}, id="too old"),
        pytest.param({"token_hash": bytes(32)}, id="of another token"),
    ],
)
def test_receipts_signed_by_every_node_but(
    door: Door, net: Net, user: str, identities: dict[int, bytes], change: dict[str, Any]
) -> None:
    key, token = SessionKey.fresh(), net.token(VERIFIER, user)
    (paper,) = commit_at(door, [1], token, key, VERIFIER)
    wrong = tuple(forge(paper, identities[j], node_index=j, **change) for j in net.indexes)
    assert share_codes(door, Ask(VERIFIER, user, token, wrong)) == {"RECEIPTS_TOO_FEW"}
    right = tuple(forge(paper, identities[j], node_index=j) for j in net.indexes)
    assert open_key(door, Ask(VERIFIER, user, token, right), key)


def test_receipts_given_for_another_verifier(door: Door, net: Net, user: str) -> None:
    key, token = SessionKey.fresh(), net.token(VERIFIER, user)
    papers = commit_at(door, net.indexes, token, key, "mock-apple")
    assert share_codes(door, Ask(VERIFIER, user, token, papers)) == {"RECEIPTS_TOO_FEW"}
    assert share_codes(door, Ask("mock-apple", user, token, papers)) == {"TOKEN_AUDIENCE"}
    assert two_rounds(door, user) == one_round(door, user)


# -- tokens


BAD_TOKENS = {
    "wrongly signed": ({"bad": True}, "TOKEN_SIGNATURE"),
    "by an unknown key": ({"kid": "nobody-has-this"}, "TOKEN_KEY_UNKNOWN"),
    "expired": ({"exp_in": -60}, "TOKEN_EXPIRED"),
    "HS256 with the public key": ({"alg": "HS256-pub"}, "TOKEN_ALGORITHM"),
    "ES256 in two rounds": ({"alg": "ES256"}, "TOKEN_ALGORITHM"),
    "wrong audience": ({"aud": "somebody-else"}, "TOKEN_AUDIENCE"),
    "wrong issuer": ({"claims": {"iss": "https://accounts.example.com"}}, "TOKEN_ISSUER"),
    "issued long ago": ({"claims": {"iat": 1_700_000_000}}, "TOKEN_TOO_OLD"),
    "not valid yet": ({"claims": {"nbf": 4_000_000_000}}, "TOKEN_NOT_YET_VALID"),
    "e-mail not verified": ({"claims": {"email_verified": False}}, "EMAIL_NOT_VERIFIED"),
    "two audiences": ({"claims": {"aud": ["torus", "authnet"]}}, "TOKEN_AUDIENCE"),
    "without exp": ({"claims": {"exp": None}}, "TOKEN_MALFORMED"),
}


@pytest.mark.parametrize("kind", BAD_TOKENS)
def test_a_bad_token_in_two_rounds(door: Door, net: Net, user: str, kind: str) -> None:
    wish, code = BAD_TOKENS[kind]
    assert _two_round_codes(door, net, user, net.token(VERIFIER, user, **wish)) == {code}
    assert two_rounds(door, user)


IN_ONE_ROUND = [kind for kind in BAD_TOKENS if kind not in ("wrong audience", "ES256 in two rounds")]


@pytest.mark.parametrize("kind", IN_ONE_ROUND)
def test_a_bad_token_in_one_round(door: Door, net: Net, user: str, kind: str) -> None:
    wish, code = BAD_TOKENS[kind]
    key = SessionKey.fresh()
    ask = Ask(VERIFIER, user, bound_token(net, user, key, **wish), key=key)
    assert share_codes(door, ask) == {code}
    assert one_round(door, user)


def test_an_es256_token_logs_in_in_one_round(door: Door, net: Net, user: str) -> None:
    key = SessionKey.fresh()
    token = bound_token(net, user, key, alg="ES256")
    assert open_key(door, Ask(VERIFIER, user, token, key=key), key) == two_rounds(door, user)


def test_unsigned_tokens(door: Door, net: Net, user: str) -> None:
    """`alg: none` with no third part is no token text; with one, it is an algorithm nobody allowed."""
    unsigned = net.token(VERIFIER, user, alg="none")
    assert _two_round_codes(door, net, user, unsigned) == {"TOKEN_MALFORMED"}
    assert _two_round_codes(door, net, user, unsigned + "AAAA") == {"TOKEN_ALGORITHM"}
    assert two_rounds(door, user)


def test_a_second_text_of_a_good_token(door: Door, net: Net, user: str) -> None:
    """Padding, other bits in the last digit, white space: equally parsed by libraries, another hash for a thief."""
    head, claims, signature = net.token(VERIFIER, user).split(".")
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    twin = signature[:-1] + alphabet[alphabet.index(signature[-1]) ^ 1]
    texts = [
        f"{head}.{claims}.{signature}==",
        f"{head}.{claims}=.{signature}",
        f"{head}.{claims}.{twin}",
        f" {head}.{claims}.{signature}",
        f"{head}.{claims}.{signature}\n",
        f"{head}.{claims}.{signature}.",
    ]
    for text in texts:
        assert _two_round_codes(door, net, user, text) == {"TOKEN_MALFORMED"}, repr(text)
    assert _two_round_codes(door, net, user, f"{head}.{claims}.{signature}") == {""}


def _two_round_codes(door: Door, net: Net, user: str, token: str) -> set[str]:
    papers = commit_at(door, net.indexes, token, SessionKey.fresh(), VERIFIER)
    return share_codes(door, Ask(VERIFIER, user, token, papers))


# -- a second session key


def test_a_second_session_key_for_one_token(door: Door, net: Net, user: str) -> None:
    victim, thief, token = SessionKey.fresh(), SessionKey.fresh(), net.token(VERIFIER, user)
    papers = commit_at(door, net.indexes, token, victim, VERIFIER)
    refused = everywhere(net.indexes, lambda j: door.commit(j, token, thief, VERIFIER))
    assert {a.code for a in refused.values()} == {"DUPLICATE_TOKEN"}
    elsewhere = everywhere(net.indexes, lambda j: door.commit(j, token, thief, "mock-apple"))
    assert {a.code for a in elsewhere.values()} == {"DUPLICATE_TOKEN"}
    assert commit_at(door, net.indexes, token, victim, VERIFIER), "the same T may ask again"
    assert open_key(door, Ask(VERIFIER, user, token, papers), victim)


def test_a_second_session_key_raced_at_all_nodes(door: Door, net: Net, user: str) -> None:
    for _ in range(6):
        token = net.token(VERIFIER, user)
        keys = (SessionKey.fresh(), SessionKey.fresh())
        lanes = list(itertools.product(keys, net.indexes))
        answers = everywhere(range(2 * net.n), lambda i, t=token, p=lanes: door.commit(p[i][1], t, p[i][0], VERIFIER))
        papers = {key: [] for key in keys}
        for lane, answer in answers.items():
            assert answer.code in {"", "DUPLICATE_TOKEN"}, answer
            if answer.paper:
                papers[lanes[lane][0]].append(answer.paper)
        given = [p.node_index for found in papers.values() for p in found]
        assert sorted(given) == list(net.indexes), "every node speaks for exactly one T"
        for key, found in papers.items():
            ask = Ask(VERIFIER, user, token, tuple(found), None if found else key)
            codes = share_codes(door, ask)
            wins = len(found) >= quorum(net)
            assert codes == {""} if wins else codes <= {"RECEIPTS_TOO_FEW", "TOKEN_MODE"}, (len(found), codes)
    assert two_rounds(door, user)


# -- accounts and modes


def test_a_share_asked_for_another_account(door: Door, net: Net, user: str) -> None:
    thief = f"thief-{user}"
    key, token = SessionKey.fresh(), net.token(VERIFIER, thief)
    papers = commit_at(door, net.indexes, token, key, VERIFIER)
    assert share_codes(door, Ask(VERIFIER, user, token, papers)) == {"TOKEN_SUBJECT"}
    assert open_key(door, Ask(VERIFIER, thief, token, papers), key) != two_rounds(door, user)


def test_a_share_asked_for_another_account_in_one_round(door: Door, net: Net, user: str) -> None:
    thief, key = f"thief-{user}", SessionKey.fresh()
    token = bound_token(net, thief, key)
    assert share_codes(door, Ask(VERIFIER, user, token, key=key)) == {"TOKEN_SUBJECT"}
    assert open_key(door, Ask(VERIFIER, thief, token, key=key), key) != one_round(door, user)


def test_an_unbound_token_without_commitment(door: Door, net: Net, user: str) -> None:
    key = SessionKey.fresh()
    two_round_token = net.token(VERIFIER, user)
    assert share_codes(door, Ask(VERIFIER, user, two_round_token, key=key)) == {"TOKEN_MODE"}
    without_nonce = net.token(VERIFIER, user, aud="authnet")
    assert share_codes(door, Ask(VERIFIER, user, without_nonce, key=key)) == {"TOKEN_UNBOUND"}
    assert one_round(door, user)


def test_a_token_bound_to_another_session_key(door: Door, net: Net, user: str) -> None:
    """A stolen bound token, and a login flow that the thief started with his own nonce."""
    victim, thief = SessionKey.fresh(), SessionKey.fresh()
    token = bound_token(net, user, victim)
    assert share_codes(door, Ask(VERIFIER, user, token, key=thief)) == {"TOKEN_UNBOUND"}
    elsewhere = net.token(VERIFIER, user, nonce=session_nonce("another-network", VERIFIER, thief.pub))
    assert share_codes(door, Ask(VERIFIER, user, elsewhere, key=thief)) == {"TOKEN_UNBOUND"}
    assert open_key(door, Ask(VERIFIER, user, token, key=victim), victim)


def test_a_bound_audience_in_two_rounds(door: Door, net: Net, user: str) -> None:
    thief = SessionKey.fresh()
    token = bound_token(net, user, SessionKey.fresh())
    papers = commit_at(door, net.indexes, token, thief, VERIFIER)
    assert share_codes(door, Ask(VERIFIER, user, token, papers)) == {"TOKEN_MODE"}
    assert two_rounds(door, user) == one_round(door, user)


def test_a_two_round_audience_in_one_round(door: Door, net: Net, user: str) -> None:
    """The thief starts the victim's flow with his own nonce and uses what the two-round client reveals."""
    key = SessionKey.fresh()
    token = bound_token(net, user, key, aud="torus")
    assert share_codes(door, Ask(VERIFIER, user, token, key=key)) == {"TOKEN_MODE"}
    papers = commit_at(door, net.indexes, token, key, VERIFIER)
    assert open_key(door, Ask(VERIFIER, user, token, papers), key) == one_round(door, user)


def test_an_unknown_verifier(door: Door, net: Net, user: str) -> None:
    key, token = SessionKey.fresh(), net.token(VERIFIER, user)
    answers = everywhere(net.indexes, lambda j: door.commit(j, token, key, "no-such-verifier"))
    assert {a.code for a in answers.values()} == {"VERIFIER_UNKNOWN"}
    assert share_codes(door, Ask("no-such-verifier", user, token, key=key)) == {"VERIFIER_UNKNOWN"}
    assert two_rounds(door, user)
