"""A state that is handed to a node that joins: equal in every entry, and nothing that a peer made up."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import anyio
import pytest

from abci_app.abci.application import Application
from abci_app.abci.dispatch import Dispatcher
from abci_app.faults import RESTORE_POINTS, Faults
from abci_app.pb.tendermint.abci import types_pb2 as pb
from abci_app.queries.readsock import ReadServer
from abci_app.snapshots import chunks, coverage
from abci_app.snapshots.restore import Applied, Offer, Offered
from abci_app.state import tables
from abci_app.state.state import Block
from authnet_core.crypto import merkle
from tests.unit.abci.handing_over import Forged, entries_of, everything, hand_over, lived, shelf_of
from tests.unit.abci.world import World, account

Entries = dict[bytes, bytes]


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Two sessions of 3,000 keys, three chunks each; of the second only the middle one is on chain."""
    params = {"first_rows": 1_000, "rows": 1_000, "pool_low": 10_000, "pool_high": 10_000, "sessions_in_flight": 1}
    world = World(tmp_path_factory.mktemp("old") / "app", params=params)
    lived(world)
    sid = world.open_sid()
    bitmap = (1 << world.n) - 1
    world.deals(sid)
    world.acks(sid, bitmap)
    world.opens(sid, bitmap)
    pairs = world.key_pairs(sid, world.query(f"/session/{sid.hex()}").count)
    world.finals(sid, merkle.root(pairs))
    assert world.send(world.keys(sid, pairs, 1)) == [None]
    yield world
    world.app.close()


@pytest.fixture
def new(tmp_path: Path) -> Iterator[Application]:
    app = Application(tmp_path / "new")
    yield app
    app.close()


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks of two kilobytes: a small state has many."""
    monkeypatch.setattr(chunks, "CHUNK_BYTES", 2_048)


def forged(world: World, change: Callable[[Entries], None]) -> Forged:
    """The state of `world` as a liar tells it."""
    found = entries_of(world.app)
    change(found)
    return Forged(world.height, [chunk for _, chunk in chunks.cut(iter(sorted(found.items())))])


def test_a_restored_state_is_the_same_in_every_entry(old: World, new: Application, small: None) -> None:
    with shelf_of(old.app) as shelf:
        assert shelf.offers()[0].chunks > 20
        assert hand_over(shelf, new, old.app.meta.app_hash).verdict is Applied.ACCEPT
    assert everything(new) == everything(old.app)
    assert (new.meta.height, new.meta.app_hash) == (old.height, old.app.meta.app_hash)


def test_a_restored_node_goes_on_as_the_others_do(tmp_path: Path, new: Application) -> None:
    """Assignments, replay protection, sessions: the same blocks give the same hashes, also after a restart."""
    world = lived(World(tmp_path / "old"))
    seen = world.assign(1, account(50))
    assert world.send(seen) == [None]
    with shelf_of(world.app) as shelf:
        hand_over(shelf, new, world.app.meta.app_hash)
    assert new.check_tx(seen).code == world.app.check_tx(seen).code is not None
    for number in range(51, 60):
        raw = [world.assign(1 + number % 5, account(number)), seen]
        finalized = world.block(*raw)
        there = new.finalize_block(raw, Block(world.height, world.time_ms))
        new.commit()
        assert there.pending.meta.app_hash == finalized.pending.meta.app_hash
        assert [o.code for o in there.outcomes] == [o.code for o in finalized.outcomes]
        if number == 55:
            new.close()
            new = Application(tmp_path / "new")
    assert everything(new) == everything(world.app)
    new.close()
    world.app.close()


def test_a_restored_state_is_no_block_to_its_own_processes(tmp_path: Path, new: Application) -> None:
    """It has no block time: a keeper that remembered it would take the block itself for a fork."""

    async def first_note(app: Application) -> object:
        async with anyio.create_task_group() as group:
            closed = anyio.Event()
            closed.set()
            connection = SimpleNamespace(closed=closed)
            note: object = await ReadServer(app, group)._subscribe({}, connection)  # type: ignore[arg-type]
        return note

    world = lived(World(tmp_path / "old"))
    with shelf_of(world.app) as shelf:
        hand_over(shelf, new, world.app.meta.app_hash)
    assert anyio.run(first_note, new) is None
    world.block()
    new.finalize_block([], Block(world.height, world.time_ms))
    new.commit()
    note = anyio.run(first_note, new)
    assert note is not None
    assert note == anyio.run(first_note, world.app)
    world.app.close()


def test_chunks_are_the_same_for_everybody(tmp_path: Path) -> None:
    """Another life with restarts, the same blocks: the same snapshot, byte for byte."""
    steady, shaky = lived(World(tmp_path / "a")), World(tmp_path / "b")
    lived(shaky)
    shaky.reopen()
    with shelf_of(steady.app) as one, shelf_of(shaky.app) as two:
        assert one.offers() == two.offers()
        assert one.chunk(steady.height, 0) == two.chunk(steady.height, 0)
    steady.app.close()
    shaky.app.close()


def test_a_chunk_that_is_not_the_named_one_is_asked_for_again_and_its_sender_named(
    old: World, new: Application, small: None
) -> None:
    with shelf_of(old.app) as shelf:
        offer = shelf.offers()[0]
        assert new.offer_snapshot(offer, old.app.meta.app_hash) is Offered.ACCEPT
        for junk in (b"", b"junk", shelf.chunk(old.height, 1), shelf.chunk(old.height, 0) + b"\x00"):
            answer = new.apply_snapshot_chunk(0, junk, "liar")
            assert (answer.verdict, answer.refetch, answer.reject) == (Applied.RETRY, (0,), ("liar",))
        for index in range(offer.chunks):
            answer = new.apply_snapshot_chunk(index, shelf.chunk(old.height, index), "good")
            assert (answer.verdict, answer.reject) == (Applied.ACCEPT, ())
    assert everything(new) == everything(old.app)


def _drop(prefix: bytes) -> Callable[[Entries], None]:
    def change(found: Entries) -> None:
        del found[next(key for key in found if key.startswith(prefix))]

    return change


def _spoil(prefix: bytes) -> Callable[[Entries], None]:
    def change(found: Entries) -> None:
        key = next(key for key in found if key.startswith(prefix))
        found[key] = found[key][:-1] + bytes([found[key][-1] ^ 1])

    return change


def _add(key: bytes, value: bytes) -> Callable[[Entries], None]:
    def change(found: Entries) -> None:
        assert key not in found
        found[key] = value

    return change


def _drop_chunk(found: Entries) -> None:
    for index in range(1_024):
        del found[tables.pool_key(index)]


LIES: dict[str, Callable[[Entries], None]] = {
    "a value less": _drop(tables.value(b"key/")),
    "another value": _spoil(tables.value(b"account/")),
    "a value more": _add(tables.value(b"account/" + bytes(32)), b"\x91\x90"),
    "a key less": _drop(tables.POOL_KEYS),
    "another key": _spoil(tables.POOL_KEYS),
    "a key more": _add(tables.pool_key(10**9), bytes(66)),
    "a chunk of keys less": _drop_chunk,
    "another path": _spoil(tables.KEY_PATHS),
    "no path": _drop(tables.KEY_PATHS),
    "a path more": _add(tables.key_path(7), bytes(32)),
    "a replay id less": _drop(tables.REPLAY_IDS),
    "another replay id": _spoil(tables.REPLAY_IDS),
    "a replay id more": _add(tables.replay_id(10**6, 0), bytes(32)),
    "a table that follows from others": _add(tables.key_by_pub(bytes(33)), bytes(8)),
    "a node of the tree": _add(tables.node(1), bytes(64)),
    "a height": _add(tables.META, b"\x94\x00\x00\xc4\x00\x00"),
    "a table that nobody knows": _add(b"zzz", b"1"),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_state_that_a_peer_made_up_is_refused_and_leaves_nothing(
    lie: str, old: World, new: Application, small: None
) -> None:
    liar = forged(old, LIES[lie])
    answer = hand_over(liar, new, old.app.meta.app_hash)  # type: ignore[arg-type]
    assert (answer.verdict, answer.reject) == (Applied.REJECT_SNAPSHOT, ("peer",)), lie
    assert new.meta.height == 0
    assert entries_of(new) == {}
    with shelf_of(old.app) as shelf:
        assert hand_over(shelf, new, old.app.meta.app_hash).verdict is Applied.ACCEPT


def test_a_state_that_is_cut_elsewhere_is_refused(old: World, new: Application, small: None) -> None:
    """Else one could fill a disk with many small chunks, or with one that is huge."""
    found = [chunks.pack(*entry) for entry in sorted(entries_of(old.app).items())]
    halves = [b"".join(found[: len(found) // 2]), b"".join(found[len(found) // 2 :])]
    for made in ([b"".join(found)], halves, found):
        answer = hand_over(Forged(old.height, made[:4_000]), new, old.app.meta.app_hash)  # type: ignore[arg-type]
        assert (answer.verdict, answer.reason) == (Applied.REJECT_SNAPSHOT, "a chunk is cut elsewhere than all cut it")


def test_entries_out_of_order_are_refused(old: World, new: Application) -> None:
    found = sorted(entries_of(old.app).items())
    for made in (found[::-1], [*found, found[-1]]):
        liar = Forged(old.height, [b"".join(chunks.pack(*entry) for entry in made)])
        answer = hand_over(liar, new, old.app.meta.app_hash)  # type: ignore[arg-type]
        assert answer.verdict is Applied.REJECT_SNAPSHOT


def test_a_whole_state_of_another_height_is_refused(tmp_path: Path, old: World, new: Application) -> None:
    other = lived(World(tmp_path / "other"))
    with shelf_of(other.app) as shelf:
        assert hand_over(shelf, new, old.app.meta.app_hash).verdict is Applied.REJECT_SNAPSHOT
    assert new.meta.height == 0
    other.app.close()


def test_offers_that_contradict_themselves_are_refused_with_their_senders(old: World, new: Application) -> None:
    with shelf_of(old.app) as shelf:
        good = shelf.offers()[0]
    root = old.app.meta.app_hash
    cases = {
        (good.height, 2, good.chunks, good.hash, good.metadata): Offered.REJECT_FORMAT,
        (good.height, 1, good.chunks + 1, good.hash, good.metadata): Offered.REJECT_SENDER,
        (good.height, 1, 0, chunks.snapshot_hash(good.height, b""), b""): Offered.REJECT_SENDER,
        (good.height + 1, 1, good.chunks, good.hash, good.metadata): Offered.REJECT_SENDER,
        (0, 1, good.chunks, chunks.snapshot_hash(0, good.metadata), good.metadata): Offered.REJECT_SENDER,
        (good.height, 1, good.chunks, good.hash, good.metadata + b"\x00"): Offered.REJECT_SENDER,
    }
    for fields, verdict in cases.items():
        assert new.offer_snapshot(Offer(*fields), root) is verdict
    assert new.offer_snapshot(good, root[:-1]) is Offered.ABORT
    assert new.apply_snapshot_chunk(0, b"", "peer").verdict is Applied.RETRY_SNAPSHOT


def test_a_node_that_has_blocks_takes_no_state(old: World) -> None:
    before = everything(old.app)
    with shelf_of(old.app) as shelf:
        assert old.app.offer_snapshot(shelf.offers()[0], old.app.meta.app_hash) is Offered.ABORT
    with pytest.raises(RuntimeError):
        old.app.store.begin_staging()
    assert everything(old.app) == before


class _Died(Exception):
    pass


class _Dying(Faults):
    """Raises where a process would end."""

    def __init__(self, name: str, times: int) -> None:
        super().__init__()
        self._point, self._times = name, times

    def reach(self, name: str) -> None:
        self._times -= name == self._point
        if name == self._point and self._times == 0:
            raise _Died


@pytest.mark.parametrize(("point", "times"), [*((point, 1) for point in RESTORE_POINTS), ("stage_chunk", 3)])
def test_a_crash_in_the_midst_starts_over(point: str, times: int, old: World, tmp_path: Path, small: None) -> None:
    with shelf_of(old.app) as shelf:
        app = Application(tmp_path / "new", _Dying(point, times))
        with pytest.raises(_Died):
            hand_over(shelf, app, old.app.meta.app_hash)
        app.store.close()
        app = Application(tmp_path / "new")
        if point == "stage_after_finish":
            assert app.meta.app_hash == old.app.meta.app_hash
        else:
            assert (app.meta.height, entries_of(app)) == (0, {})
            hand_over(shelf, app, old.app.meta.app_hash)
    assert everything(app) == everything(old.app)
    app.close()


def test_genesis_after_a_half_restored_state_begins_from_nothing(old: World, tmp_path: Path, small: None) -> None:
    """The operator gave up on state sync: blocks are synced from the first one."""
    plain = World(tmp_path / "plain")
    world = World(tmp_path / "late")
    with shelf_of(old.app) as shelf:
        assert world.app.offer_snapshot(shelf.offers()[0], old.app.meta.app_hash) is Offered.ACCEPT
        world.app.apply_snapshot_chunk(0, shelf.chunk(old.height, 0), "peer")
    world.init()
    lived(world)
    lived(plain)
    assert world.hashes == plain.hashes
    assert everything(world.app) == everything(plain.app)
    for each in (world, plain):
        each.app.close()


def test_every_table_is_in_a_list() -> None:
    """A new table must say how it is handed over, or joining nodes lack it."""
    named = {value for name, value in vars(tables).items() if name.isupper() and isinstance(value, bytes)}
    listed = [*coverage.TRAVELS, *coverage.DERIVED, *coverage.LOCAL]
    assert named == set(listed)
    assert len(listed) == len(set(listed))


def test_abci_says_what_the_application_means(old: World, new: Application, small: None) -> None:
    giving, taking = Dispatcher(old.app), Dispatcher(new)
    with shelf_of(old.app) as shelf:
        old.app.shelf = shelf
        offer = giving.answer(pb.Request(list_snapshots=pb.RequestListSnapshots())).list_snapshots.snapshots[0]
        offered = pb.RequestOfferSnapshot(snapshot=offer, app_hash=old.app.meta.app_hash)
        verdict = taking.answer(pb.Request(offer_snapshot=offered)).offer_snapshot.result
        assert verdict == pb.ResponseOfferSnapshot.ACCEPT
        junk = pb.RequestApplySnapshotChunk(index=0, chunk=b"junk", sender="liar")
        refused = taking.answer(pb.Request(apply_snapshot_chunk=junk)).apply_snapshot_chunk
        assert refused.result == pb.ResponseApplySnapshotChunk.RETRY
        assert (list(refused.refetch_chunks), list(refused.reject_senders)) == ([0], ["liar"])
        for index in range(offer.chunks):
            asked = pb.RequestLoadSnapshotChunk(height=offer.height, format=offer.format, chunk=index)
            chunk = giving.answer(pb.Request(load_snapshot_chunk=asked)).load_snapshot_chunk.chunk
            applied = pb.RequestApplySnapshotChunk(index=index, chunk=chunk, sender="peer")
            taken = taking.answer(pb.Request(apply_snapshot_chunk=applied)).apply_snapshot_chunk
            assert taken.result == pb.ResponseApplySnapshotChunk.ACCEPT
        for height, form in ((offer.height + 1, 1), (offer.height, 2)):
            asked = pb.RequestLoadSnapshotChunk(height=height, format=form, chunk=0)
            assert giving.answer(pb.Request(load_snapshot_chunk=asked)).load_snapshot_chunk.chunk == b""
    old.app.shelf = None
    known = taking.answer(pb.Request(info=pb.RequestInfo())).info
    assert (known.last_block_height, known.last_block_app_hash) == (old.height, old.app.meta.app_hash)
    assert not giving.answer(pb.Request(list_snapshots=pb.RequestListSnapshots())).list_snapshots.snapshots
