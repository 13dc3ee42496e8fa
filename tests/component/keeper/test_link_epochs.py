"""Links while one committee takes over from another: one with each peer, whatever committees it is in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import trio

from authnet_core.protocol.dkg.messages import WantBundle
from authnet_core.protocol.reshare.messages import Nonces, ReshareBundle, WantNonces
from authnet_core.protocol.views import EpochView, MemberView
from p2p_dkg.network.directory import Peer
from p2p_dkg.network.frames import PeerMessage
from p2p_dkg.network.host import peer_id_of
from p2p_dkg.network.mesh import Mesh
from p2p_dkg.ports import Receipt
from tests.component.keeper.meshes import CHAIN, SID, address_of, free_port, identity_of, run, seed_of, until

HASH, KEY = b"h" * 32, b"\x03" * 33


class Node:
    """A mesh, known by a number that is no party index."""

    def __init__(self, number: int) -> None:
        self.number, self.port = number, free_port()
        self.mesh = Mesh(seed_of(number), address_of(self.port), identity_of(seed_of(number)))
        self.mesh.handle_messages(self._take)
        self.mesh.answer_receipts(lambda token_hash, _: self.given if token_hash == HASH else None)
        self.mesh.answer_points(self._points)
        self.given: Receipt | None = None
        self.got: list[tuple[Peer, PeerMessage]] = []
        self.ups: list[str] = []
        self.mesh.on_up = lambda peer: self.ups.append(peer.peer_id)

    @property
    def id(self) -> str:
        return peer_id_of(seed_of(self.number))

    async def _points(self, peer: Peer, epoch: int, indexes: Sequence[int]) -> tuple[bytes, ...] | None:
        return (
            None if peer.index_in(epoch) is None else tuple(bytes([2, self.number] + 31 * [index]) for index in indexes)
        )

    async def _take(self, sender: Peer, message: PeerMessage) -> None:
        self.got.append((sender, message))


def committee(epoch: int, *nodes: Node, **changes: Any) -> EpochView:
    members = tuple(
        MemberView(
            index=i, operator="", identity=identity_of(seed_of(node.number)), consensus="", peer_id=node.id,
            p2p_addr=address_of(node.port), comet_addr="", endpoint="",
        )
        for i, node in enumerate(nodes, start=1)
    )  # fmt: skip
    return EpochView(
        epoch=epoch, n=len(nodes), k=2, t=0, status="serving", members=members, committee_hash=f"{epoch:02x}" * 32
    )


def network(size: int, test: Any) -> None:
    async def check() -> None:
        nodes = [Node(number) for number in range(1, size + 1)]
        async with trio.open_nursery() as nursery:
            for node in nodes:
                await nursery.start(node.mesh.run)
            await test(*nodes)
            nursery.cancel_scope.cancel()

    run(check)


def linked(node: Node) -> set[str]:
    return {str(peer["peer_id"]) for peer in node.mesh.peers() if peer["connected"]}


async def all_linked(*nodes: Node) -> None:
    ids = {node.id for node in nodes}
    await until(lambda: all(linked(node) == ids - {node.id} for node in nodes))


def test_two_committees_talk_over_one_link_a_peer() -> None:
    async def check(a: Node, both: Node, b: Node) -> None:
        committees = [committee(1, a, both), committee(2, b, both)]
        for node in (a, both, b):
            node.mesh.set_committees(CHAIN, committees)
        await all_linked(a, both, b)
        a.mesh.send_all(2, ReshareBundle(SID, 1, (b"l" * 32,) * 2, (b"c" * 64,) * 2))
        b.mesh.send(1, 2, WantNonces(SID))
        both.mesh.send(2, 1, Nonces(SID, bytes(64)))
        await until(lambda: len(both.got) == 2 and len(b.got) == 2)
        assert a.got == []
        places = {sender.peer_id: (sender.index_in(1), sender.index_in(2)) for sender, _ in both.got + b.got}
        assert places == {a.id: (1, None), b.id: (None, 1), both.id: (2, 2)}
        assert (a.mesh.connected(1), a.mesh.connected(2)) == ([2], [1, 2])
        assert all(len(node.ups) == 2 for node in (a, both, b))

    network(3, check)


def test_a_new_committee_starts_its_links_and_no_others() -> None:
    async def check(a: Node, b: Node, c: Node) -> None:
        first, second = committee(1, a, b), committee(2, b, c)
        for node in (a, b):
            node.mesh.set_committees(CHAIN, [first])
        await all_linked(a, b)
        for node in (a, b, c):
            node.mesh.set_committees(CHAIN, [first, second])
        await all_linked(a, b, c)
        assert (a.ups.count(b.id), b.ups.count(a.id)) == (1, 1)
        a.mesh.send(2, 1, WantNonces(SID))  # its new place goes over the old link
        await until(lambda: len(b.got) == 1)
        for node in (b, c):
            node.mesh.set_committees(CHAIN, [second])  # the first one's grace is over
        a.mesh.set_committees(CHAIN, [second])  # and it is in no other
        await until(lambda: linked(a) == set() and linked(b) == {c.id} and linked(c) == {b.id})
        assert (b.ups.count(c.id), c.ups.count(b.id)) == (1, 1)
        assert a.mesh.peers() == []

    network(3, check)


def test_a_committee_that_is_called_off_loses_its_links() -> None:
    async def check(c: Node, a: Node, b: Node) -> None:  # the first one dials
        first, second = committee(1, a, b), committee(2, b, c)
        for node in (a, b, c):
            node.mesh.set_committees(CHAIN, [first, second])
        await all_linked(a, b, c)
        for node in (a, b):
            node.mesh.set_committees(CHAIN, [first])
        await until(lambda: linked(a) == {b.id} and linked(b) == {a.id} and linked(c) == set())
        refused = a.mesh.host.gate.refused + b.mesh.host.gate.refused
        await until(lambda: a.mesh.host.gate.refused + b.mesh.host.gate.refused > refused)  # it goes on trying
        a.mesh.send(2, 2, WantNonces(SID))
        b.mesh.send_all(2, WantNonces(SID))
        await trio.sleep(0.2)
        assert c.got == []
        assert (a.ups.count(b.id), b.ups.count(a.id)) == (1, 1)

    network(3, check)


def test_nodes_that_know_different_committees_find_the_one_that_both_know() -> None:
    """Not all see a block at once: a member of both that has not heard of the next one, or knows the former no more."""

    async def check(a: Node, b: Node) -> None:
        first, second, third = committee(1, a, b), committee(2, b, a), committee(3, a, b)
        for ahead, behind in (
            ([first, second], [first]),
            ([first, second], [second]),
            ([second, third], [first, second]),
        ):
            for one, other in ((a, b), (b, a)):
                one.mesh.set_committees(CHAIN, ahead)
                other.mesh.set_committees(CHAIN, behind)
                await until(lambda: linked(a) == {b.id} and linked(b) == {a.id})
                for node in (a, b):
                    node.mesh.set_committees(CHAIN, [])
                await until(lambda: linked(a) == linked(b) == set())

    network(2, check)


def test_messages_come_with_the_places_their_sender_has_now() -> None:
    async def check(a: Node, b: Node) -> None:
        for node in (a, b):
            node.mesh.set_committees(CHAIN, [committee(1, a, b)])
        await all_linked(a, b)
        a.mesh.send(1, 2, WantBundle(SID, 1))
        await until(lambda: len(b.got) == 1)
        b.mesh.set_committees(CHAIN, [committee(1, a, b), committee(2, b, a)])
        a.mesh.send(1, 2, WantBundle(SID, 1))
        await until(lambda: len(b.got) == 2)
        assert [sender.places for sender, _ in b.got] == [((1, 1),), ((1, 1), (2, 2))]

    network(2, check)


def test_receipts_are_asked_of_one_committee_and_answered_to_it() -> None:
    async def check(a: Node, both: Node, b: Node) -> None:
        for node in (a, both, b):
            node.mesh.set_committees(CHAIN, [committee(1, a, both), committee(2, b, both)])
            node.given = Receipt(f"of {node.number}", b"s" * 65, b"\x02" * 33, 2)
        await all_linked(a, both, b)
        a.given = Receipt("of 1", b"s" * 65, b"\x02" * 33, 1)
        assert {r.data for r in await both.mesh.ask_receipts(1, HASH, KEY)} == {"of 1"}
        assert {r.data for r in await both.mesh.ask_receipts(2, HASH, KEY)} == {f"of {b.number}"}
        assert {r.data for r in await b.mesh.ask_receipts(2, HASH, KEY)} == {f"of {both.number}"}
        # What belongs to the second committee is not for a member of the first one alone, whomever it asks.
        assert await a.mesh.ask_receipts(1, HASH, KEY) == []
        assert await a.mesh.ask_receipts(2, HASH, KEY) == []
        assert await b.mesh.ask_receipts(1, HASH, KEY) == [Receipt(f"of {both.number}", b"s" * 65, b"\x02" * 33)]

    network(3, check)


def test_points_are_asked_of_one_committee_at_once_and_come_by_party() -> None:
    async def check(a: Node, both: Node, b: Node, c: Node) -> None:
        committees = [committee(1, a, both), committee(2, b, both, c)]
        for node in (a, both, b, c):
            node.mesh.set_committees(CHAIN, committees)
        await all_linked(a, both, b, c)

        def said(node: Node) -> tuple[bytes, ...]:
            return tuple(bytes([2, node.number] + 31 * [index]) for index in (7, 9))

        assert await both.mesh.ask_points(2, (7, 9)) == {1: said(b), 3: said(c)}
        assert await both.mesh.ask_points(1, (7, 9)) == {1: said(a)}
        # one that says another number of points, or nothing, is not in it; the others are
        b.mesh.answer_points(lambda *_: _answer((b"\x02" * 33,)))
        c.mesh.answer_points(lambda *_: _answer(None))
        both.mesh._points._wait_s = 0.5
        assert await both.mesh.ask_points(2, (7, 9)) == {}

    network(4, check)


async def _answer(points: tuple[bytes, ...] | None) -> tuple[bytes, ...] | None:
    return points
