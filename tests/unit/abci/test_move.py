"""A new chain from an old one's state: what lives on, and what such a chain refuses to begin with."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from abci_app.abci.application import Application, InitialState
from abci_app.snapshots import chunks, export_file, imports, survival
from abci_app.snapshots.export_file import Header
from abci_app.snapshots.survival import Survivors, table_of
from abci_app.state import records as r
from abci_app.state import tables
from abci_app.state.state import Block, decode, encode
from authnet_core.crypto import merkle
from authnet_core.errors import AuthnetError, Code
from authnet_core.protocol.committee import Committee
from authnet_core.protocol.exports import next_chain_id
from tests.unit.abci.handing_over import everything, lived
from tests.unit.abci.moving import export, genesis, signed, written
from tests.unit.abci.test_reshare_blame import build as judged
from tests.unit.abci.world import World, account, consensus_key, verifier_record

NEW = "testnet-2"


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Accounts, a final session and one under way, votes that are open."""
    world = lived(World(tmp_path_factory.mktemp("old") / "app", params={"pool_low": 300, "pool_high": 400}))
    world.observe(verifier_record(version=9), members=[1])
    yield world
    world.app.close()


@pytest.fixture
def header(old: World, tmp_path: Path) -> Header:
    return written(old, tmp_path / imports.FILE)


@pytest.fixture
def new(tmp_path: Path) -> Iterator[Application]:
    app = Application(tmp_path / "new", export=tmp_path / imports.FILE)
    yield app
    app.close()


class Moved(World):
    """The members of `old` on the new chain."""

    def __init__(self, app: Application, initial: InitialState) -> None:
        self.folder, self.n, self.params, self.app = Path(), 5, {}, app
        self.committee, self.hashes = Committee.of(5), []
        self.height, self.time_ms = initial.initial_height - 1, initial.time_ms

    def tx(self, member: int, **kind: Any) -> bytes:
        return super().tx(member, **{"chain_id": NEW, "epoch": 1, **kind})


def test_accounts_keys_and_committees_live_on(old: World, header: Header, new: Application) -> None:
    new.init_chain(genesis(old, header))
    world = Moved(new, genesis(old, header))
    world.block()
    assert (new.meta.height, world.query("/status").chain_id) == (old.height + 1, NEW)
    for path in ("/epoch/1", "/verifiers", "/keys/0/192", "/blame"):
        before, after = old.query(path), world.query(path)
        if path == "/epoch/1":
            # Encryption and service keys are announced anew.
            before, after = (
                [msgspec.structs.replace(m, service_key="") for m in view.members] for view in (before, after)
            )
        assert before == after, path
    for number in range(12):
        assert world.query(f"/account/{account(number).hex()}") == old.query(f"/account/{account(number).hex()}")
    assert (world.query("/pool").free, world.query("/pool").assigned) == (old.query("/pool").free, 12)


def test_what_was_under_way_does_not(old: World, header: Header, new: Application) -> None:
    assert old.query("/sessions").open
    new.init_chain(genesis(old, header))
    world = Moved(new, genesis(old, header))
    world.block()
    sessions = world.query("/sessions")
    assert not sessions.open
    assert {session.phase for session in sessions.recent} == {"final"}
    assert world.query("/sessions/retained/count") == 0
    gone = {table_of(key[1:]) for key in everything(new) if key[:1] == tables.VALUES} & survival.DROPPED
    assert gone <= {b"replay/"}


def test_the_new_chain_assigns_and_generates_as_before(old: World, header: Header, new: Application) -> None:
    new.init_chain(genesis(old, header))
    world = Moved(new, genesis(old, header))
    world.block()
    assert world.send(world.assign(1, account(0))) != [None]
    assert world.send(world.assign(1, account(900))) == [None]
    counter = world.query("/enckeys").next_counter
    assert counter == old.query("/enckeys").next_counter > 0
    old_tx = old.assign(1, account(901), expiry=world.height + 20)
    assert world.send(old_tx) == [Code.WRONG_CHAIN]


def test_a_restart_before_the_first_block_begins_again(old: World, header: Header, tmp_path: Path) -> None:
    path = tmp_path / imports.FILE
    app = Application(tmp_path / "new", export=path)
    first = app.init_chain(genesis(old, header))
    app.finalize_block([], Block(header.height + 1, header.time_ms))
    app.close()
    app = Application(tmp_path / "new", export=path)
    assert (app.meta.height, everything(app)) == (0, {})
    assert app.init_chain(genesis(old, header)) == first
    assert app.init_chain(genesis(old, header)) == first
    app.finalize_block([], Block(header.height + 1, header.time_ms))
    app.commit()
    before = everything(app)
    app.close()
    app = Application(tmp_path / "new")
    assert everything(app) == before
    app.close()


def test_every_node_exports_the_same(old: World, tmp_path: Path) -> None:
    one, two = written(old, tmp_path / "one"), written(old, tmp_path / "two")
    assert one == two
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_an_export_moves_on_and_on(old: World, header: Header, new: Application, tmp_path: Path) -> None:
    new.init_chain(genesis(old, header))
    world = Moved(new, genesis(old, header))
    world.block()
    again = written(world, tmp_path / "again")
    third = Application(tmp_path / "third", export=tmp_path / "again")
    third.init_chain(genesis(world, again, chain_id="testnet-3"))
    third.finalize_block([], Block(again.height + 1, again.time_ms))
    third.commit()
    assert len([key for key in everything(third) if key.startswith(tables.value(b"account/"))]) == 12
    third.close()


# what is refused


def refused(app: Application, initial: InitialState) -> str:
    with pytest.raises(AuthnetError) as refusal:
        app.init_chain(initial)
    assert refusal.value.code is Code.EXPORT_INVALID
    assert everything(app) == {}
    return refusal.value.message


def test_too_few_signatures(old: World, header: Header, new: Application) -> None:
    for members in ((), (1, 2, 3)):
        assert "4 must" in refused(new, genesis(old, signed(header, members)))
    # A signature twice, or a stranger's, is no fourth.
    three = signed(header, (1, 2, 3)).signatures
    first = next(iter(three))
    for extra in ({first.upper(): three[first]}, {"02" * 33: three[first]}, {first: "zz"}, {first: ""}):
        forged = msgspec.structs.replace(header, signatures={**three, **extra})
        assert "must" in refused(new, genesis(old, forged))
    new.init_chain(genesis(old, signed(header, (2, 3, 4, 5))))


def test_signatures_over_something_else(old: World, header: Header, new: Application) -> None:
    for change in ({"height": header.height + 1}, {"chain_id": "testnet-7"}, {"time_ms": 1}, {"app_hash": "00" * 32}):
        other = signed(msgspec.structs.replace(header, **change), (1, 2, 3, 4))
        forged = msgspec.structs.replace(header, signatures=other.signatures)
        refused(new, genesis(old, forged))
        refused(new, genesis(old, other))


GENESES: dict[str, Callable[[InitialState], InitialState]] = {
    "the same chain id": lambda g: replace(g, chain_id="testnet-1"),
    "one left out": lambda g: replace(g, chain_id="testnet-3"),
    "another height": lambda g: replace(g, initial_height=1),
    "an earlier time": lambda g: replace(g, time_ms=g.time_ms - 1),
    "another validator": lambda g: replace(
        g, validators=r.ValidatorSet(tuple(sorted((consensus_key(j), 1) for j in (1, 2, 3, 4, 9))))
    ),
    "more power": lambda g: replace(g, validators=r.ValidatorSet(tuple((k, 2) for k, _ in g.validators.members))),
    "another observer": lambda g: _told(g, observers=g.app_state.observers[:4]),
    "another registry": lambda g: _told(g, registry="0x01"),
    "another Ethereum": lambda g: _told(g, eth_chain_id=1),
    "no development network": lambda g: _told(g, dev=False),
    "parameters": lambda g: _told(g, params={"rows": 1}),
}


def _told(initial: InitialState, **changes: Any) -> InitialState:
    return replace(initial, app_state=msgspec.structs.replace(initial.app_state, **changes))


@pytest.mark.parametrize("case", GENESES)
def test_a_genesis_that_does_not_fit(case: str, old: World, header: Header, new: Application) -> None:
    refused(new, GENESES[case](genesis(old, header)))


def test_a_damaged_file(old: World, header: Header, new: Application, tmp_path: Path) -> None:
    path = tmp_path / imports.FILE
    good = path.read_bytes()
    places = [0, 20, 26, len(good) // 2, len(good) - 1]
    spoilt = [good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :] for at in places]
    for content in (*spoilt, b"", good[:30], good[:-1], good + b"\x00", export_file.MAGIC + b"\xff" * 16):
        path.write_bytes(content)
        refused(new, genesis(old, header))
    path.unlink()
    refused(new, genesis(old, header))
    path.write_bytes(good)
    new.init_chain(genesis(old, header))


def _forge(world: World, path: Path, change: Callable[[dict[bytes, bytes]], None]) -> Header:
    """An export that n-t members were fooled to sign, or a coalition made."""
    made = export(world.app)
    held = world.app.store.hold()
    found = dict(Survivors(held).entries())
    held.close()
    change(found)
    cut = [chunk for _, chunk in chunks.cut(iter(sorted(found.items())))]
    named = tuple(chunks.chunk_hash(chunk).hex() for chunk in cut)
    header = signed(msgspec.structs.replace(made.header, chunks=named), (1, 2, 3, 4))
    made.close()
    export_file.write(path, header, cut)
    return header


def _without(prefix: bytes) -> Callable[[dict[bytes, bytes]], None]:
    def change(found: dict[bytes, bytes]) -> None:
        del found[next(key for key in found if key.startswith(prefix))]

    return change


def _junk(key: bytes) -> Callable[[dict[bytes, bytes]], None]:
    def change(found: dict[bytes, bytes]) -> None:
        found[tables.value(key)] = b"\xff\xff"

    return change


FORGED: dict[str, Callable[[dict[bytes, bytes]], None]] = {
    "a key less": _without(tables.POOL_KEYS),
    "no genesis": _without(tables.value(b"genesis")),
    "no epoch": _without(tables.value(b"epoch/")),
    "no validators": _without(tables.value(b"validators")),
    "genesis that is none": _junk(b"genesis"),
    "an epoch that is none": _junk(b"epoch"),
    "a session that is none": _junk(b"session/" + bytes(32)),
    "a batch that is none": _junk(b"batch/" + bytes(16)),
    "a replay id": lambda found: found.update({tables.replay_id(1, 0): bytes(32)}),
}


@pytest.mark.parametrize("case", FORGED)
def test_a_signed_state_that_is_not_whole(case: str, old: World, new: Application, tmp_path: Path) -> None:
    header = _forge(old, tmp_path / imports.FILE, FORGED[case])
    refused(new, genesis(old, header))


def test_keys_that_are_not_on_chain_yet_hold_the_export_up(tmp_path: Path) -> None:
    world = World(tmp_path / "app")
    world.begin_epoch()
    world.announce()
    sid, everyone = world.open_sid(), (1 << world.n) - 1
    world.deals(sid)
    world.acks(sid, everyone)
    world.opens(sid, everyone)
    pairs = world.key_pairs(sid, world.query(f"/session/{sid.hex()}").count)
    world.finals(sid, merkle.root(pairs))
    with pytest.raises(AuthnetError, match="not on chain yet"):
        export(world.app)
    assert world.send(world.keys(sid, pairs)) == [None]
    export(world.app).close()
    world.app.close()


def test_there_is_nothing_to_export_before_the_first_committee(fresh: World) -> None:
    with pytest.raises(AuthnetError, match="no committee"):
        export(fresh.app)


def test_a_committee_that_was_to_come_is_announced_anew(old: World) -> None:
    epoch = decode(next(v for k, v in everything(old.app).items() if k == tables.value(tables.epoch(1).key)), r.Epoch)
    held = old.app.store.hold()
    change = Survivors(held).changed[b"epoch/"]
    for status, lives in (("next", False), ("aborted", True), ("retired", True), ("serving", True)):
        record = encode(msgspec.structs.replace(epoch, status=status))
        assert change(tables.epoch(2).key, record) == (record if lives else None)
    held.close()


def test_what_was_convicted_in_a_hand_over_is_shown_on_the_new_chain(new: Application, tmp_path: Path) -> None:
    """Its committee is called off instead of forgotten: the evidence hangs on its keys."""
    before = judged(tmp_path / "judged")
    header = written(before, tmp_path / imports.FILE)
    new.init_chain(genesis(before, header))
    world = Moved(new, genesis(before, header))
    world.block()
    for path in ("/blame", "/blame/0", "/blame/1", "/blame/2"):
        assert world.query(path) == before.query(path)
    assert world.query("/epoch/2").status == "aborted"
    before.app.close()


def test_revisions_count_up() -> None:
    assert next_chain_id("net", "net-1") == "net-2"
    assert next_chain_id("net-7", "net-7-99") == "net-7-100"
    for wrong in ("net", "net-", "net-x", "other-1", "net-1-1", "net--1", "net-\u0661"):
        with pytest.raises(AuthnetError):
            next_chain_id("net", wrong)


def test_every_table_of_the_tree_is_in_one_list(old: World) -> None:
    """A new table must say whether it lives on."""
    blank = {"int": 0, "bytes": b"", "str": ""}
    slots = [value for value in vars(tables).values() if isinstance(value, tables.Slot)]
    for function in vars(tables).values():
        if inspect.isfunction(function) and str(inspect.signature(function).return_annotation).startswith("Slot["):
            arguments = [blank[p.annotation] for p in inspect.signature(function).parameters.values()]
            slots.append(function(*arguments))
    held = old.app.store.hold()
    changed = Survivors(held).changed
    held.close()
    named = [table_of(slot.key) for slot in slots]
    assert len(named) == len(set(named)) > 30
    listed = [*survival.KEPT, *survival.DROPPED, *changed]
    assert sorted(named) == sorted(listed)
