"""Queries: every path, absence, heights, proofs, and anything for a path."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from abci_app.queries import queries
from abci_app.state import tables
from abci_app.state.state import encode
from authnet_core.crypto import smt
from authnet_core.errors import AuthnetError, Code
from authnet_core.protocol import views as v
from tests.unit.abci.world import World, account


@pytest.fixture
def used(pooled: World) -> World:
    for number in range(3):
        pooled.send(pooled.assign(1, account(number)))
    return pooled


def test_every_path_answers_with_its_view(used: World) -> None:
    sid = used.query("/sessions").recent[0].sid
    pub = used.query("/key/5").Y
    expected = {
        "/status": v.StatusView,
        "/params": v.ParamsView,
        "/epoch/current": v.EpochView,
        "/epoch/1": v.EpochView,
        "/enckeys": v.EncKeysView,
        "/sessions": v.SessionsView,
        "/sessions/retained": list[v.RetainedView],
        f"/session/{sid}": v.SessionView,
        "/pool": v.PoolView,
        "/verifiers": list[v.VerifierView],
        "/verifier/mock-google": v.VerifierView,
        f"/account/{account(1).hex()}": v.AccountView,
        f"/account/{account(1).hex()}?curve=secp256k1": v.AccountView,
        "/key/5": v.KeyView,
        f"/key/by-pub/{pub}": v.KeyView,
        "/keys/0/2000": list[v.KeyView],
    }
    for path, kind in expected.items():
        wire = json.loads(msgspec.json.encode(used.query(path)))
        msgspec.convert(wire, kind, str_keys=True)


def test_key_lists(used: World) -> None:
    keys = used.query("/keys/0/2000")
    assert [key.index for key in keys] == list(range(192))
    assert [key.free for key in keys[:5]] == [False, False, False, True, True]
    assert [key.position for key in used.query("/keys/190/10")] == [190, 191]
    assert used.query("/keys/500/10") == []
    assert len(msgspec.json.encode(keys)) / len(keys) < 500, "2,000 keys fit a frame of 1 MiB"


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("", Code.UNKNOWN_PATH),
        ("/", Code.UNKNOWN_PATH),
        ("status", Code.UNKNOWN_PATH),
        ("/nothing", Code.UNKNOWN_PATH),
        ("/status/", Code.UNKNOWN_PATH),
        ("/epoch", Code.UNKNOWN_PATH),
        ("/é", Code.UNKNOWN_PATH),
        ("/" + "x" * 600, Code.UNKNOWN_PATH),
        ("/epoch/2", Code.NOT_FOUND),
        ("/epoch/-1", Code.BAD_PARAMS),
        ("/epoch/next", Code.NOT_FOUND),
        ("/session/00", Code.BAD_PARAMS),
        ("/session/" + "00" * 32, Code.UNKNOWN_SESSION),
        ("/verifier/nobody", Code.VERIFIER_UNKNOWN),
        ("/account/" + "AB" * 32, Code.BAD_PARAMS),
        ("/account/" + "00" * 31, Code.BAD_PARAMS),
        ("/account/" + "00" * 32, Code.ACCOUNT_NOT_FOUND),
        ("/account/" + "00" * 32 + "?curve=ed25519", Code.UNSUPPORTED_CURVE),
        ("/key/100000", Code.NOT_FOUND),
        ("/key/x", Code.BAD_PARAMS),
        ("/key/" + "9" * 30, Code.BAD_PARAMS),
        ("/key/by-pub/" + "02" * 33, Code.NOT_FOUND),
        ("/key/by-pub/zz", Code.BAD_PARAMS),
        ("/keys/0/0", Code.BAD_PARAMS),
        ("/keys/0/2001", Code.BAD_PARAMS),
    ],
)
def test_what_has_no_answer_has_a_code(used: World, path: str, code: Code) -> None:
    assert used.refusal(path) == code


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.one_of(
        st.text(max_size=80),
        st.lists(
            st.sampled_from(
                [
                    "",
                    "key",
                    "keys",
                    "account",
                    "epoch",
                    "session",
                    "by-pub",
                    "0",
                    "-1",
                    "ff",
                    "current",
                    "?curve=",
                    "\x00",
                ]
            ),
            max_size=5,
        ).map(lambda parts: "/" + "/".join(parts)),
    ),
    st.integers(-2, 40),
)
def test_any_text_is_answered_or_coded(used: World, path: str, height: int) -> None:
    try:
        queries.answer(used.app.store, path, height, prove=True)
    except AuthnetError:
        return


def test_an_account_is_proven_present_with_its_keys(used: World) -> None:
    found = queries.answer(used.app.store, f"/account/{account(1).hex()}", prove=True)
    of_account, of_key = found.proofs
    store = used.app.store
    record, key = store.get(tables.account(account(1))), store.get(tables.key(1))
    assert record is not None
    assert key is not None
    assert isinstance(of_account, smt.Presence)
    assert isinstance(of_key, smt.Presence)
    assert smt.verify_presence(found.app_hash, b"account/" + account(1), encode(record), of_account)
    assert smt.verify_presence(found.app_hash, tables.key(1).key, encode(key), of_key)
    assert key.y.hex() == found.view.keys[0].Y


def test_an_account_is_proven_absent(used: World) -> None:
    path = f"/account/{account(77).hex()}"
    found = queries.answer(used.app.store, path, prove=True)
    assert found.refusal is not None
    assert found.refusal.code == Code.ACCOUNT_NOT_FOUND
    (proof,) = found.proofs
    assert isinstance(proof, smt.Absence)
    assert smt.verify_absence(found.app_hash, b"account/" + account(77), proof)
    used.send(used.assign(1, account(77)))
    assert not smt.verify_absence(used.app.meta.app_hash, b"account/" + account(77), proof)


def test_answers_of_the_last_heights_stay_as_they_were(used: World) -> None:
    before, height = used.query("/pool"), used.height
    root = used.app.meta.app_hash
    for number in range(10, 14):
        used.send(used.assign(1, account(number)))
    found = queries.answer(used.app.store, "/pool", height, prove=True)
    assert found.view == before
    assert found.app_hash == root
    (proof,) = found.proofs
    assert isinstance(proof, smt.Presence)
    assert smt.verify_presence(root, proof.key, proof.value, proof)
    assert used.query("/pool").assigned == before.assigned + 4


def test_a_provable_answer_names_a_height_whose_next_header_exists(used: World) -> None:
    fresh = queries.answer(used.app.store, "/pool", prove=True)
    assert fresh.height == used.height, "this block changed the hash: the next header will have it"
    used.block()
    settled = queries.answer(used.app.store, "/pool", prove=True)
    assert (settled.height, settled.app_hash) == (used.height - 1, fresh.app_hash)
    assert queries.answer(used.app.store, "/pool").height == used.height


def test_after_a_restart_the_unchanged_past_is_still_answered(used: World) -> None:
    height = used.height
    for _ in range(12):
        used.block()
    used.reopen()
    assert used.query("/pool", height).assigned == 3
    with pytest.raises(AuthnetError):
        used.query("/pool", height - 1)


def test_before_the_first_block_there_is_no_answer(tmp_path_factory: pytest.TempPathFactory) -> None:
    world = World(tmp_path_factory.mktemp("app"))
    assert world.refusal("/status") == Code.UNAVAILABLE
    assert world.refusal("/epoch/current") == Code.NOT_FOUND
    world.app.close()


def test_retained_sessions_come_in_pages(tmp_path: Path) -> None:
    world = World(tmp_path / "app", params={"first_rows": 1, "rows": 1, "sessions_in_flight": 1})
    world.begin_epoch()
    world.announce(count=32)
    for _ in range(5):
        world.block()
        world.run_session(world.open_sid(), [1, 2, 3, 4])
    whole = world.query("/sessions/retained")
    assert world.query("/sessions/retained/count") == len(whole) == 5
    assert world.query("/sessions/retained/0/500") == whole
    assert [view for first in (0, 2, 4, 6) for view in world.query(f"/sessions/retained/{first}/2")] == whole
    for path in ("/sessions/retained/0/0", "/sessions/retained/0/501", "/sessions/retained/x/1"):
        assert world.refusal(path) == Code.BAD_PARAMS
    for path in ("/sessions/retained/counts", "/sessions/retained/1", "/sessions/retained/1/2/3"):
        assert world.refusal(path) == Code.UNKNOWN_PATH
    world.app.close()
