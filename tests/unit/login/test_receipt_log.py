"""The receipt log: durable before a receipt, one T per hash, never evicted, honest about what it may have lost."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import plyvel
import pytest
import trio

from authnet_core.crypto.hashing import keccak256
from authnet_core.errors import AuthnetError, Code
from p2p_dkg.login.receipt_log import Bound, ReceiptLog
from tests.unit.login.chain import BORN_MS, LIMIT_S
from tests.unit.login.world import Session, in_trio, refused, running

HASH = b"h" * 32
MINE, OTHER = Session(1).pub, Session(2).pub
KEPT_S = LIMIT_S + 120


def bound(temp_pub: bytes = MINE, given_s: int = 100, verifier: str = "google") -> Bound:
    return Bound(temp_pub, verifier, given_s, 1)


@in_trio
async def test_an_entry_survives_closing(tmp_path: Path) -> None:
    log = ReceiptLog(tmp_path, now_s=1)
    await log.bind(HASH, bound())
    log.close()
    log = ReceiptLog(tmp_path, now_s=500)
    assert log.find(HASH) == bound()
    assert len(log) == 1
    assert log.complete_since_s == 2
    await refused(Code.DUPLICATE_TOKEN, log.bind(HASH, bound(OTHER)))
    assert await log.bind(HASH, bound(given_s=200)) == bound()


@in_trio
async def test_commits_that_come_together_share_a_sync(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = ReceiptLog(tmp_path, now_s=1)
    writes: list[int] = []
    real = ReceiptLog._write

    def counted(self: ReceiptLog, batch: dict[bytes, Bound]) -> None:
        writes.append(len(batch))
        real(self, batch)

    monkeypatch.setattr(ReceiptLog, "_write", counted)
    async with trio.open_nursery() as nursery:
        for j in range(200):
            nursery.start_soon(log.bind, bytes([j]) * 32, bound())
    assert sum(writes) == 200
    assert len(writes) <= 3
    assert all(log.find(bytes([j]) * 32) == bound() for j in range(200))


@in_trio
async def test_a_receipt_waits_for_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = ReceiptLog(tmp_path, now_s=1)
    on_disk = []
    real = ReceiptLog._write

    def watched(self: ReceiptLog, batch: dict[bytes, Bound]) -> None:
        real(self, batch)
        on_disk.append(set(batch))

    monkeypatch.setattr(ReceiptLog, "_write", watched)
    await log.bind(HASH, bound())
    assert on_disk == [{HASH}]


@in_trio
async def test_while_the_sync_is_under_way_another_key_is_refused(tmp_path: Path) -> None:
    log = ReceiptLog(tmp_path, now_s=1)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(log.bind, HASH, bound())
        while HASH not in log._unsynced:
            await trio.lowlevel.checkpoint()
        assert log.find(HASH) is None, "not told to peers before it is on disk"
        await refused(Code.DUPLICATE_TOKEN, log.bind(HASH, bound(OTHER)))
        assert await log.bind(HASH, bound()) == bound()


@in_trio
async def test_a_caller_that_goes_away_leaves_the_hash_bound(tmp_path: Path) -> None:
    log = ReceiptLog(tmp_path, now_s=1)
    with trio.CancelScope() as scope:
        scope.cancel()
        await log.bind(HASH, bound())
    await refused(Code.DUPLICATE_TOKEN, log.bind(HASH, bound(OTHER)))
    await log.bind(HASH, bound())
    assert log.find(HASH) == bound()


@in_trio
async def test_a_failing_disk_gives_no_receipt_and_keeps_the_hash_bound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = ReceiptLog(tmp_path, now_s=1)

    def full(self: ReceiptLog, batch: dict[bytes, Bound]) -> None:
        raise plyvel.IOError("no space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(ReceiptLog, "_write", full)
        await refused(Code.UNAVAILABLE, log.bind(HASH, bound()))
        await refused(Code.DUPLICATE_TOKEN, log.bind(HASH, bound(OTHER)))
    await log.bind(HASH, bound())
    assert log.find(HASH) == bound()


@in_trio
async def test_a_full_log_refuses_and_evicts_nothing(tmp_path: Path) -> None:
    log = ReceiptLog(tmp_path, now_s=1, capacity=3)
    for j in range(3):
        await log.bind(bytes([j]) * 32, bound(given_s=10 + j))
    await refused(Code.RECEIPT_LOG_FULL, log.bind(b"new" + bytes(29), bound()))
    for j in range(3):
        await log.bind(bytes([j]) * 32, bound())  # those it knows may still try again
    assert await log.prune(11) == 1
    await log.bind(b"new" + bytes(29), bound())
    assert len(log) == 3


@in_trio
async def test_prune_drops_what_is_older_and_says_from_when_on_it_knows(tmp_path: Path) -> None:
    log = ReceiptLog(tmp_path, now_s=1)
    for j in range(10):
        await log.bind(bytes([j]) * 32, bound(given_s=j))
    assert await log.prune(4) == 4
    assert log.find(bytes(32)) is None
    assert log.find(b"\x04" * 32) is not None
    assert await log.prune(3) == 0, "the horizon never moves back"
    log.close()
    log = ReceiptLog(tmp_path, now_s=1)
    assert log.horizon_s == 4
    assert len(log) == 6


@in_trio
async def test_prune_in_chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("p2p_dkg.login.receipt_log._PRUNE_CHUNK", 3)
    log = ReceiptLog(tmp_path, now_s=1)
    for j in range(9):
        await log.bind(bytes([j]) * 32, bound(given_s=j))
    assert await log.prune(100) == 9
    assert len(log) == 0


# --- lost and restored ------------------------------------------------------------------------------------------------


async def _old_log(folder: Path) -> None:
    log = ReceiptLog(folder, now_s=10)
    await log.bind(HASH, bound())
    log.close()


def _born(folder: Path) -> int:
    log = ReceiptLog(folder, now_s=5000)
    born = log.complete_since_s
    log.close()
    return born


@in_trio
async def test_the_same_log_keeps_its_birth(tmp_path: Path) -> None:
    await _old_log(tmp_path)
    assert _born(tmp_path) == 11
    assert _born(tmp_path) == 11


@in_trio
async def test_a_lost_log_is_born_anew(tmp_path: Path) -> None:
    await _old_log(tmp_path)
    shutil.rmtree(tmp_path / "receipts")
    assert _born(tmp_path) == 5001


@in_trio
async def test_a_log_put_back_from_a_copy_is_born_anew(tmp_path: Path) -> None:
    await _old_log(tmp_path)
    shutil.copytree(tmp_path / "receipts", tmp_path / "backup")
    shutil.rmtree(tmp_path / "receipts")
    shutil.copytree(tmp_path / "backup", tmp_path / "receipts")
    assert _born(tmp_path) == 5001


@in_trio
async def test_a_node_folder_put_back_from_a_copy_is_born_anew(tmp_path: Path) -> None:
    await _old_log(tmp_path / "node")
    shutil.copytree(tmp_path / "node", tmp_path / "backup")
    shutil.rmtree(tmp_path / "node")
    shutil.copytree(tmp_path / "backup", tmp_path / "node")
    assert _born(tmp_path / "node") == 5001


@in_trio
async def test_a_log_of_another_node_is_born_anew(tmp_path: Path) -> None:
    await _old_log(tmp_path / "a")
    await _old_log(tmp_path / "b")
    shutil.rmtree(tmp_path / "a" / "receipts")
    (tmp_path / "b" / "receipts").rename(tmp_path / "a" / "receipts")
    assert _born(tmp_path / "a") == 5001


@pytest.mark.parametrize("text", [None, "", "\x00\xff", "00 1\n"])
@in_trio
async def test_a_lost_or_damaged_witness_is_no_proof(tmp_path: Path, text: str | None) -> None:
    await _old_log(tmp_path)
    witness = tmp_path / "receipts" / "witness"
    witness.unlink()
    if text is not None:
        witness.write_text(text, encoding="latin-1")
    assert _born(tmp_path) == 5001


@in_trio
async def test_a_damaged_log_is_put_aside_and_born_anew(tmp_path: Path) -> None:
    await _old_log(tmp_path)
    for file in (tmp_path / "receipts").glob("MANIFEST-*"):
        file.write_bytes(b"garbage" * 100)
    assert _born(tmp_path) == 5001
    assert (tmp_path / "receipts.damaged").is_dir()


@in_trio
async def test_distrust_after_a_restore(tmp_path: Path) -> None:
    log = ReceiptLog(tmp_path, now_s=10)
    log.distrust(777.5)
    assert log.complete_since_s == 778


@in_trio
async def test_files_are_for_the_owner_only(tmp_path: Path) -> None:
    ReceiptLog(tmp_path / "login", now_s=1).close()
    assert (tmp_path / "login").stat().st_mode & 0o077 == 0


@in_trio
async def test_a_young_log_gives_no_receipts_for_one_token_age(tmp_path: Path) -> None:
    async with running(tmp_path, log_born_s=BORN_MS / 1000 + 50) as world:
        world.now = BORN_MS / 1000 + 100
        await world.read_chain()
        keeper, session = world.keepers[0], Session()
        await refused(Code.RECEIPT_LOG_YOUNG, keeper.commit(world.token(), session))
        await world.pass_time(KEPT_S - 50)
        await refused(Code.RECEIPT_LOG_YOUNG, keeper.commit(world.token(), session))
        await world.pass_time(2)
        assert await keeper.commit(world.token(), session)


@in_trio
async def test_a_log_older_than_the_network_is_complete_at_once(tmp_path: Path) -> None:
    async with running(tmp_path, log_born_s=BORN_MS / 1000 - 1) as world:
        world.now = BORN_MS / 1000 + 1
        await world.read_chain()
        assert await world.keepers[0].commit(world.token(), Session())


@in_trio
async def test_a_block_without_committee_proves_the_log_complete(tmp_path: Path) -> None:
    async with running(tmp_path, log_born_s=BORN_MS / 1000 + 50) as world:
        keeper, session = world.keepers[0], Session()
        world.now, world.chain.epoch = BORN_MS / 1000 + 60, 0
        await world.read_chain()
        world.chain.epoch = 1
        await world.read_chain()
        assert await keeper.commit(world.token(), session)
        assert keeper.log.quiet_until_s == BORN_MS // 1000 + 60


@in_trio
async def test_a_block_replayed_from_before_the_loss_proves_nothing(tmp_path: Path) -> None:
    async with running(tmp_path, log_born_s=BORN_MS / 1000 + 50) as world:
        keeper = world.keepers[0]
        world.now, world.chain.epoch = BORN_MS / 1000 + 60, 0
        world.chain.lag_s = 20  # the block is of second 40: the log was lost at 50
        await world.read_chain()
        world.chain.epoch, world.chain.lag_s = 1, 0
        await world.read_chain()
        await refused(Code.RECEIPT_LOG_YOUNG, keeper.commit(world.token(), Session()))


@in_trio
async def test_a_restored_keystore_makes_the_log_young(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        keeper = world.keepers[0]
        keeper.continuous_since_ms = int(world.now * 1000) - 1000
        await refused(Code.RECEIPT_LOG_YOUNG, keeper.commit(world.token(), Session()))
        await world.pass_time(KEPT_S)
        assert await keeper.commit(world.token(), Session())


@in_trio
async def test_entries_are_kept_for_the_longest_token_age_and_two_skews(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        world.now = float(int(world.now))
        keeper = world.keepers[0]
        token = world.token()
        await keeper.commit(token, Session(1))
        await world.pass_time(KEPT_S)
        await keeper.service._desk.forget_old()
        await refused(Code.DUPLICATE_TOKEN, keeper.commit(token, Session(2)))
        await world.pass_time(1)
        await keeper.service._desk.forget_old()
        assert keeper.log.find(keccak256(token.encode())) is None


@in_trio
async def test_a_clock_that_jumps_ahead_of_the_chain_forgets_nothing(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        keeper = world.keepers[0]
        await keeper.commit(world.token(), Session(1))
        world.now += 10**6
        world.chain.lag_s = 10**6
        await keeper.service._desk.forget_old()
        assert len(keeper.log) == 1


@in_trio
async def test_a_raised_limit_holds_only_for_tokens_the_log_still_knows(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        world.now = float(int(world.now))
        token = world.token(exp=int(world.now) + 10_000)
        await world.commit_all(token, Session(1))
        await world.pass_time(KEPT_S + 1)
        record = world.chain.verifiers["google"]
        world.chain.verifiers["google"] = type(record)(
            **{name: getattr(record, name) for name in record.__struct_fields__} | {"iat_limit_s": 10_000}
        )
        for keeper in world.keepers:
            await keeper.service._desk.forget_old()
        await world.read_chain()
        thief = await world.commit_all(token, Session(2))
        await refused(Code.TOKEN_TOO_OLD, world.keepers[0].share(token, thief))


CHILD = """
import os, signal, sys, trio
from pathlib import Path
from p2p_dkg.login.receipt_log import Bound, ReceiptLog
log = ReceiptLog(Path(sys.argv[1]), now_s=1)
async def main():
    await log.bind(b"h" * 32, Bound(bytes.fromhex(sys.argv[2]), "google", 100, 1))
    os.kill(os.getpid(), signal.SIGKILL)  # between write and reply
trio.run(main)
"""


def test_killed_between_write_and_reply_only_the_same_key_gets_a_receipt(tmp_path: Path) -> None:
    command: list[Any] = [sys.executable, "-c", CHILD, tmp_path, MINE.hex()]
    done = subprocess.run(command, check=False, timeout=60, cwd=os.getcwd())
    assert done.returncode == -signal.SIGKILL
    log = ReceiptLog(tmp_path, now_s=50)
    assert log.complete_since_s == 2, "a killed keeper's log is whole"
    with pytest.raises(AuthnetError, match="Duplicate token found"):
        trio.run(log.bind, HASH, bound(OTHER))
    assert trio.run(log.bind, HASH, bound(given_s=200)) == bound()
