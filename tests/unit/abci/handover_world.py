"""A chain whose committee hands over: nodes by number, as members of the committees they are in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from abci_app.queries import queries
from authnet_core.crypto import pok
from authnet_core.crypto.secp256k1 import pub
from authnet_core.errors import Code
from authnet_core.protocol.committee import Committee
from authnet_core.protocol.dkg.strings import enckey_context
from authnet_core.wire import authnet_pb2 as wire
from authnet_core.wire.tx import record_hash
from tests.unit.abci.world import CHAIN, SEED, World, consensus_key, secret

NEW = (6, 7, 8, 9, 10)
"""The usual next committee: five nodes that are in no other."""
FIRST = (1, 2, 3, 4, 5)


def next_record(epoch: int = 2, nodes: Sequence[int] = NEW, previous: int = 1, **changes: Any) -> wire.Record:
    """The registry's record of a later epoch. Member m is node `nodes[m - 1]`."""
    committee = Committee.of(len(nodes))
    members = [
        wire.Member(
            index=place,
            operator=f"0x{node:040x}",
            identity=pub(secret("id", node)),
            consensus=consensus_key(node),
            peer_id=f"peer{node}",
            p2p_addr=f"/ip4/127.0.0.1/tcp/{9000 + node}",
            comet_addr=f"id{node}@127.0.0.1:{9100 + node}",
            endpoint=f"http://127.0.0.1:{9200 + node}",
        )
        for place, node in enumerate(nodes, start=1)
    ]
    fields: dict[str, Any] = {
        "epoch": epoch,
        "n": committee.n,
        "k": committee.k,
        "t": committee.t,
        "members": members,
        "previous": previous,
    }
    return wire.Record(epoch=wire.EpochRecord(**{**fields, **changes}))


def raw_of(record: wire.Record) -> bytes:
    return record.SerializeToString(deterministic=True)


def hash_of(record: wire.Record) -> bytes:
    return record_hash(raw_of(record))


def observe(world: World, record: wire.Record, nodes: Sequence[int] = (1, 2, 3, 4)) -> list[Code | None]:
    """These nodes of the committee in charge observe the record."""
    return world.send(*(world.tx(node, observe=wire.Observe(record=raw_of(record))) for node in nodes))


def reject_tx(world: World, node: int, record: wire.Record) -> bytes:
    return world.tx(node, reject=wire.Reject(epoch=record.epoch.epoch, record_hash=hash_of(record)))


def ready_tx(world: World, node: int, epoch: int = 2, **changes: Any) -> bytes:
    """READY_NODE with what this moment's chain says."""
    envelope = {"epoch": changes.pop("body_epoch", epoch)}
    fields: dict[str, Any] = {
        "epoch": epoch,
        "height": world.app.meta.height,
        "app_hash": world.app.meta.app_hash,
        "service_key": pub(secret("service", node)),
    }
    return world.tx(node, ready_node=wire.ReadyNode(**{**fields, **changes}), **envelope)


def enckey_tx(world: World, node: int, member: int, epoch: int = 2, first: int = 0, count: int = 4) -> bytes:
    entries = []
    for counter in range(first, first + count):
        key = secret("ek", epoch, node, counter)
        context = enckey_context(CHAIN, epoch, counter, member)
        entries.append(wire.EncKeyEntry(key=pub(key), pok=pok.prove(key, context, SEED)))
    message = wire.EncKey(first_counter=first, keys=entries, service_key=pub(secret("service", node)))
    return world.tx(node, enckey=message, epoch=epoch)


def events_of(finalized: Any) -> list[tuple[str, str]]:
    """(epoch, phase) of a block's epoch_phase events."""
    found = [dict(e.attributes) for e in finalized.all_events if e.type == "epoch_phase"]
    return [(attributes["epoch"], attributes["phase"]) for attributes in found]


def phase(world: World) -> str:
    """Of the hand-over under way, "" without one."""
    found = queries.answer(world.app.store, "/handover")
    return found.view.phase if found.refusal is None else ""


def announce(world: World, record: wire.Record, nodes: Sequence[int] = (1, 2, 3, 4)) -> None:
    assert set(observe(world, record, nodes)) == {None}
    assert phase(world) == "announced"


def join(world: World, nodes: Sequence[int] = NEW, epoch: int = 2, members: Sequence[int] | None = None) -> None:
    """Through the notice, then READY_NODE and ENCKEY of these members, by place in `nodes`."""
    while phase(world) == "announced":
        world.block()
    for member in members or range(1, len(nodes) + 1):
        node = nodes[member - 1]
        assert world.send(ready_tx(world, node, epoch)) == [None]
        assert world.send(enckey_tx(world, node, member, epoch)) == [None]


def finish(world: World) -> None:
    """Blocks until the hand-over under way has ended. A session that nobody runs is abandoned on the way."""
    for _ in range(20):
        if not phase(world):
            return
        world.block(step_ms=10_000)
    raise AssertionError(f"still {phase(world)}")


def hand_over(world: World, record: wire.Record | None = None, voters: Sequence[int] = (1, 2, 3, 4)) -> None:
    """The whole way, with every next member ready."""
    record = record or next_record()
    announce(world, record, voters)
    identities = [member.identity for member in record.epoch.members]
    nodes = [next(n for n in range(1, 40) if pub(secret("id", n)) == key) for key in identities]
    join(world, nodes, record.epoch.epoch)
    finish(world)
    assert world.query("/epoch/current").epoch == record.epoch.epoch
