"""A keeper's word on an export, and a keystore that goes to the new chain."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest

from authnet_core.crypto.ecdsa import verify
from authnet_core.errors import AuthnetError, Code
from authnet_core.protocol.exports import statement
from p2p_dkg.doors.exporting import ExportSigner
from p2p_dkg.keystore import moving
from p2p_dkg.keystore.identity import SecretSigner
from p2p_dkg.keystore.moving import move_keystore
from p2p_dkg.keystore.sessions import BRIEF
from p2p_dkg.keystore.store import Keystore, SeenBlock, open_keystore

OLD, NEW = "test-1", "test-2"
SIDS = [bytes([place]) * 32 for place in range(1, 5)]
APP, EXPORT = b"a" * 32, b"e" * 32
GOOD = {"height": 7, "app_hash": APP.hex(), "export_hash": EXPORT.hex()}


class Chain:
    """An abci_app that exports one height."""

    async def export(self, height: int) -> dict[str, Any]:
        if height != 7:
            raise AuthnetError(Code.HEIGHT_UNAVAILABLE, "not kept")
        return {"chain_id": OLD, "network_id": "test", **GOOD}


def sign(**changes: Any) -> dict[str, str]:
    signer = ExportSigner(Chain(), SecretSigner(b"\x05" * 32))
    answer: dict[str, str] = anyio.run(signer.sign, {**GOOD, **changes}, None)
    return answer


def test_a_keeper_signs_what_its_own_chain_exports() -> None:
    answer = sign()
    pub = bytes.fromhex(answer["identity_pub"])
    assert verify(pub, statement(OLD, 7, APP, EXPORT), bytes.fromhex(answer["signature"]))
    for other in (statement(NEW, 7, APP, EXPORT), statement(OLD, 8, APP, EXPORT), statement(OLD, 7, EXPORT, APP)):
        assert not verify(pub, other, bytes.fromhex(answer["signature"]))


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"export_hash": "00" * 32}, Code.EXPORT_INVALID),
        ({"app_hash": "00" * 32}, Code.EXPORT_INVALID),
        ({"app_hash": ""}, Code.EXPORT_INVALID),
        ({"height": 8}, Code.HEIGHT_UNAVAILABLE),
        ({"height": "7"}, Code.BAD_PARAMS),
        ({"export_hash": "zz"}, Code.BAD_PARAMS),
        ({"digest": "00" * 32}, Code.BAD_PARAMS),
    ],
)
def test_it_signs_nothing_else(changes: dict[str, Any], code: Code) -> None:
    with pytest.raises(AuthnetError) as refusal:
        sign(**changes)
    assert refusal.value.code is code


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Shares of two epochs, the first one erased; a session, announced keys, a receipt log."""
    secret = tmp_path / "passphrase"
    secret.write_text("correct horse\n")
    secret.chmod(0o600)
    store = opened(tmp_path / "keeper", OLD)
    for epoch, sids in ((1, SIDS[:2]), (2, SIDS[2:])):
        for sid in sids:
            store.epoch(epoch).put_batch(sid, sid * 4)
        store.epoch(epoch).service(create=True)
        store.epoch(epoch).waiting.put({3: b"w" * 32})
    store.epoch(1).erase()
    store.session(SIDS[0]).put(BRIEF, "deal", b"seed")
    store.see(SeenBlock(9, 9, "00"))
    return tmp_path / "keeper"


def opened(folder: Path, chain: str) -> Keystore:
    store = open_keystore(folder, "test", folder.parent / "passphrase", 2)
    store.bind_chain(chain, 1)
    return store


def check(folder: Path, before: Keystore) -> None:
    store = opened(folder, NEW)
    assert store.epoch(2).held == frozenset(SIDS[2:])
    assert [store.epoch(2).batch(sid) for sid in SIDS[2:]] == [sid * 4 for sid in SIDS[2:]]
    service, was = store.epoch(2).service(), before.epoch(2).service()
    assert service is not None
    assert was is not None
    assert service.pub == was.pub
    assert (store.epoch(1).is_erased, store.epoch(2).waiting.secrets) == (True, {})
    assert (store.sessions(), store.seen, store.place) == ([], None, before.place)
    # Nothing of it opens as the old chain's any more.
    with pytest.raises(AuthnetError):
        opened(folder, OLD).epoch(2).batch(SIDS[2])


def test_shares_go_to_the_new_chain_and_what_was_under_way_does_not(folder: Path) -> None:
    before = opened(folder, OLD)
    before.epoch(2).service()
    assert move_keystore(folder, "test", b"correct horse", OLD, NEW) == 2
    check(folder, before)
    assert move_keystore(folder, "test", b"correct horse", OLD, NEW) == 2
    check(folder, before)


@pytest.mark.parametrize("step", range(3))
def test_a_crash_in_the_midst_is_made_good(step: int, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = opened(folder, OLD)
    before.epoch(2).service()
    left, write = iter(range(step)), moving.write_durably

    def dying(path: Path, content: bytes) -> None:
        if next(left, None) is None:
            raise SystemExit
        write(path, content)

    with monkeypatch.context() as patched:
        patched.setattr(moving, "write_durably", dying)
        with pytest.raises(SystemExit):
            move_keystore(folder, "test", b"correct horse", OLD, NEW)
    move_keystore(folder, "test", b"correct horse", OLD, NEW)
    check(folder, before)


def test_a_share_of_neither_chain_is_damage(folder: Path) -> None:
    with pytest.raises(AuthnetError) as refusal:
        move_keystore(folder, "test", b"correct horse", "test-7", NEW)
    assert refusal.value.code is Code.KEYSTORE_DAMAGED
