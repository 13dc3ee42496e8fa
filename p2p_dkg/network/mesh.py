"""All links of this keeper: who is in which committee comes from the chain, what members say goes to the runner.

A link is with a peer id, one for all committees that the peer and this node are in. Each peer has its own bounded
inbox, so that one who floods costs nobody else anything.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import trio
from anyio import TASK_STATUS_IGNORED
from libp2p.abc import INetStream

from authnet_core.protocol.views import EpochView
from authnet_runtime.logs import get_logger
from p2p_dkg.network import counters
from p2p_dkg.network.directory import Directory, Peer
from p2p_dkg.network.frames import Frame, PeerMessage, PointAnswer, PointAsk, ReceiptAnswer, ReceiptAsk, encode
from p2p_dkg.network.host import PeerHost
from p2p_dkg.network.limits import TokenBucket
from p2p_dkg.network.link import Link
from p2p_dkg.network.questions import Questions
from p2p_dkg.ports import Receipt, ReceiptSource

INBOX = 32
RECEIPT_WAIT_S = 1.5
ASKS_PER_S, ASKS_BURST = 50.0, 200.0
POINTS_WAIT_S = 5.0
POINT_ASKS_PER_S, POINT_ASKS_BURST = 1.0, 4.0
"""Each costs the one who answers up to 16 reads and as many multiplications."""
_log = get_logger("network")

MessageHandler = Callable[[Peer, PeerMessage], Awaitable[None]]
"""Whether the sender may say this is for the handler: `sender.index_in(epoch)` is its index in a committee."""
PointSource = Callable[[Peer, int, Sequence[int]], Awaitable[tuple[bytes, ...] | None]]
"""(who asks, epoch, key indexes) -> a point for each key, b"" where none is held; None if the peer may not know."""


@dataclass(slots=True)
class _Member:
    """A running link and what belongs to it."""

    link: Link
    scope: trio.CancelScope
    inbox_in: trio.MemorySendChannel[PeerMessage]
    inbox_out: trio.MemoryReceiveChannel[PeerMessage]
    asks: TokenBucket = field(default_factory=lambda: TokenBucket(ASKS_PER_S, ASKS_BURST))
    point_asks: TokenBucket = field(default_factory=lambda: TokenBucket(POINT_ASKS_PER_S, POINT_ASKS_BURST))
    is_given_points: bool = False
    """Whether an ask of it is being answered: there is one at a time, so that none queue up."""


class Mesh:
    """Links with everybody in the committees of `set_committees`. `identity`: this node's key, 33 bytes in hex."""

    def __init__(self, seed: bytes, listen: str, identity: str) -> None:
        self.host = PeerHost(seed, listen, self._on_stream)
        self._identity = identity
        self._members: dict[str, _Member] = {}
        self._nursery: trio.Nursery | None = None
        self._on_message: MessageHandler | None = None
        self._receipt_source: ReceiptSource | None = None
        self._point_source: PointSource | None = None
        self._receipts = Questions[ReceiptAnswer](RECEIPT_WAIT_S)
        self._points = Questions[PointAnswer](POINTS_WAIT_S)
        self._directory = Directory()
        self.on_up: Callable[[Peer], None] = lambda _: None

    def handle_messages(self, handler: MessageHandler) -> None:
        """Set what gets the peers' messages: called one at a time per peer."""
        self._on_message = handler

    def answer_receipts(self, source: ReceiptSource) -> None:
        """Set what looks up receipts already given."""
        self._receipt_source = source

    def answer_points(self, source: PointSource) -> None:
        """Set what says this node's shares in the exponent."""
        self._point_source = source

    async def run(self, *, task_status: Any = TASK_STATUS_IGNORED) -> None:
        """Listen and keep links up until cancelled. Raises ConfigError when the address can not be used."""
        async with self.host.run(), trio.open_nursery() as nursery:
            self._nursery = nursery
            task_status.started()
            await trio.sleep_forever()

    def set_committees(self, chain_id: str, committees: Sequence[EpochView]) -> None:
        """Start and stop links so that there is one with each other member of these committees: the current one, the
        next one while it joins, a former one through its grace. A node that is in none of them has no links.

        A changed address starts a link anew, a changed place (epoch, index) does not.
        """
        directory = Directory(chain_id, committees, self._identity, self.host.peer_id)
        is_other_chain = chain_id != self._directory.chain_id
        self._directory = directory
        self.host.allow(frozenset(directory.peers))
        for peer_id, member in list(self._members.items()):
            peer = directory.peers.get(peer_id)
            if peer is None or is_other_chain or peer.address != member.link.peer.address:
                del self._members[peer_id]
                member.link.disconnect()
                member.scope.cancel()
            else:
                member.link.peer = peer
        for peer_id in directory.peers.keys() - self._members.keys():
            self._start(directory.peers[peer_id])

    def send(self, epoch: int, to: int, message: PeerMessage) -> None:
        """Queue a message to one other member of an epoch's committee; dropped if it is not there."""
        member = self._members.get(self._directory.members(epoch).get(to, ""))
        if member is not None:
            member.link.send(message)

    def send_all(self, epoch: int, message: PeerMessage) -> None:
        """Queue a message to every other member of an epoch's committee."""
        links = [member.link for member in self._of(epoch) if member.link.connected]
        raw = encode(message) if links else b""
        for link in links:
            link.send(message, raw)

    def connected(self, epoch: int) -> list[int]:
        """Indexes of the members of an epoch that there is a link with."""
        members = self._directory.members(epoch).items()
        return sorted(index for index, peer_id in members if self._members[peer_id].link.connected)

    def peers(self) -> list[dict[str, object]]:
        """For `status`: each peer, its index by epoch, and whether it is there."""
        links = sorted((member.link for member in self._members.values()), key=lambda link: link.peer.places)
        return [
            {
                "index": link.peer.places[-1][1],
                "places": {str(epoch): index for epoch, index in link.peer.places},
                "peer_id": link.peer.peer_id,
                "connected": link.connected,
            }
            for link in links
        ]

    async def ask_receipts(self, epoch: int, token_hash: bytes, temp_pub: bytes) -> list[Receipt]:
        """Receipts that members of `epoch` say they have given for (token hash, T); waits at most 1.5 s."""
        answers = await self._receipts.ask(self._lines(epoch), lambda number: ReceiptAsk(number, token_hash, temp_pub))
        return [Receipt(said.text, said.signature, said.node_pub) for said in answers.values() if said.text]

    async def ask_points(self, epoch: int, indexes: Sequence[int]) -> dict[int, tuple[bytes, ...]]:
        """Party index in `epoch` -> its points of these keys, b"" where it holds none; waits at most 5 s.

        Who is not there, or answers with another number of points, is not in it. Unchecked otherwise.
        """
        lines = self._lines(epoch)
        places = {peer_id: index for index, peer_id in self._directory.members(epoch).items()}
        answers = await self._points.ask(
            lines,
            lambda number: PointAsk(number, epoch, tuple(indexes)),
            lambda said: (said.epoch, len(said.points)) == (epoch, len(indexes)),
        )
        return {places[peer_id]: said.points for peer_id, said in answers.items()}

    def _lines(self, epoch: int) -> dict[str, Link]:
        """By peer id, of those that are there."""
        links = [member.link for member in self._of(epoch)]
        return {link.peer.peer_id: link for link in links if link.connected}

    def _of(self, epoch: int) -> list[_Member]:
        return [self._members[peer_id] for _, peer_id in sorted(self._directory.members(epoch).items())]

    def _start(self, peer: Peer) -> None:
        if self._nursery is None:
            raise RuntimeError("the mesh does not run yet")
        link = Link(self.host, lambda: self._directory, peer, self._on_frame)
        link.on_up = self._link_up
        inbox_in, inbox_out = trio.open_memory_channel[PeerMessage](INBOX)
        member = _Member(link, trio.CancelScope(), inbox_in, inbox_out)
        self._members[peer.peer_id] = member
        self._nursery.start_soon(self._run_member, member)

    def _link_up(self, peer: Peer) -> None:
        self.on_up(peer)

    async def _run_member(self, member: _Member) -> None:
        with member.scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(member.link.run)
                nursery.start_soon(self._deliver, member)
        member.link.disconnect()

    async def _deliver(self, member: _Member) -> None:
        async for message in member.inbox_out:
            if self._on_message is not None:
                await self._on_message(member.link.peer, message)

    async def _on_stream(self, peer_id: str, stream: INetStream) -> None:
        member = self._members.get(peer_id)
        if member is None:
            await stream.reset()
        else:
            await member.link.accept(stream)

    def _on_frame(self, link: Link, frame: Frame) -> None:
        member = self._members.get(link.peer.peer_id)
        if member is None or member.link is not link:
            return
        match frame:
            case ReceiptAsk():
                self._answer_ask(member, frame)
            case ReceiptAnswer():
                self._receipts.take(link.peer.peer_id, frame.id, frame)
            case PointAsk():
                self._take_point_ask(member, frame)
            case PointAnswer():
                self._points.take(link.peer.peer_id, frame.id, frame)
            case _:
                try:
                    member.inbox_in.send_nowait(frame)  # type: ignore[arg-type]
                except trio.WouldBlock:
                    counters.REFUSED.labels(link.peer.label, "inbox_full").inc()

    def _answer_ask(self, member: _Member, ask: ReceiptAsk) -> None:
        peer = member.link.peer
        if not member.asks.take(1):
            counters.REFUSED.labels(peer.label, "ask_rate").inc()
            return
        source = self._receipt_source
        receipt = None if source is None else source(ask.token_hash, ask.temp_pub)
        # Receipts are the business of the committee that gives them: nobody of another one may ask for them.
        if receipt is None or peer.index_in(receipt.epoch) is None:
            member.link.send(ReceiptAnswer(ask.id, "", b"", b""))
        else:
            member.link.send(ReceiptAnswer(ask.id, receipt.data, receipt.signature, receipt.node_pub))

    def _take_point_ask(self, member: _Member, ask: PointAsk) -> None:
        if member.is_given_points or not member.point_asks.take(1):
            counters.REFUSED.labels(member.link.peer.label, "point_rate").inc()
        elif self._nursery is not None and self._point_source is not None:
            member.is_given_points = True
            self._nursery.start_soon(self._give_points, member, self._point_source, ask)

    async def _give_points(self, member: _Member, source: PointSource, ask: PointAsk) -> None:
        points = None
        with trio.move_on_after(POINTS_WAIT_S):
            points = await source(member.link.peer, ask.epoch, ask.indexes)
        member.is_given_points = False
        if points is None:
            counters.REFUSED.labels(member.link.peer.label, "points").inc()
        else:
            member.link.send(PointAnswer(ask.id, ask.epoch, points))
