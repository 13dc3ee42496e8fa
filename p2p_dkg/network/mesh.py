"""All links of this keeper: who is a member comes from the chain, what members say goes to the session runner.

Each member has its own bounded inbox, so that one who floods costs nobody else anything.
"""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import trio
from anyio import TASK_STATUS_IGNORED
from libp2p.abc import INetStream

from authnet_core.protocol.dkg.messages import Message
from authnet_core.protocol.views import EpochView
from authnet_runtime.logs import get_logger
from p2p_dkg.network import counters
from p2p_dkg.network.frames import Frame, Hello, ReceiptAnswer, ReceiptAsk
from p2p_dkg.network.host import PeerHost
from p2p_dkg.network.limits import TokenBucket
from p2p_dkg.network.link import Link, Peer
from p2p_dkg.ports import Receipt, ReceiptSource

INBOX = 32
RECEIPT_WAIT_S = 1.5
ASKS_PER_S, ASKS_BURST = 50.0, 200.0
_MAX_QUESTIONS = 512
_log = get_logger("network")

MessageHandler = Callable[[int, Message], Awaitable[None]]


@dataclass(slots=True)
class _Member:
    """A running link and what belongs to it."""

    link: Link
    scope: trio.CancelScope
    inbox_in: trio.MemorySendChannel[Message]
    inbox_out: trio.MemoryReceiveChannel[Message]
    asks: TokenBucket = field(default_factory=lambda: TokenBucket(ASKS_PER_S, ASKS_BURST))


@dataclass(slots=True)
class _Question:
    """A receipt ask on its way."""

    waiting: set[int]
    answers: list[Receipt]
    done: trio.Event


class Mesh:
    """Links with the members of the current epoch."""

    def __init__(self, seed: bytes, listen: str) -> None:
        self.host = PeerHost(seed, listen, self._on_stream)
        self._members: dict[int, _Member] = {}
        self._nursery: trio.Nursery | None = None
        self._on_message: MessageHandler | None = None
        self._receipt_source: ReceiptSource | None = None
        self._questions: dict[int, _Question] = {}
        self._numbers = itertools.count(1)
        self._own: Hello | None = None
        self.on_up: Callable[[int], None] = lambda _: None

    def handle_messages(self, handler: MessageHandler) -> None:
        """Set what gets the members' messages: called one at a time per member."""
        self._on_message = handler

    def answer_receipts(self, source: ReceiptSource) -> None:
        """Set what looks up receipts already given."""
        self._receipt_source = source

    async def run(self, *, task_status: Any = TASK_STATUS_IGNORED) -> None:
        """Listen and keep links up until cancelled. Raises ConfigError when the address can not be used."""
        async with self.host.run(), trio.open_nursery() as nursery:
            self._nursery = nursery
            task_status.started()
            await trio.sleep_forever()

    def set_committee(self, chain_id: str, epoch: EpochView, own_index: int) -> None:
        """Start and stop links so that they match the epoch's record. A changed address starts a link anew."""
        own = Hello(chain_id, epoch.epoch, bytes.fromhex(epoch.committee_hash), own_index)
        wanted = {
            member.index: Peer(member.index, member.peer_id, member.p2p_addr)
            for member in epoch.members
            if member.index != own_index
        }
        for index, member in list(self._members.items()):
            if own != self._own or wanted.get(index) != member.link.peer:
                member.scope.cancel()
                del self._members[index]
        self._own = own
        self.host.allow(frozenset(peer.peer_id for peer in wanted.values()))
        for index in wanted.keys() - self._members.keys():
            self._start(own, wanted[index])

    def send(self, to: int, message: Message) -> None:
        """Queue a message to one member."""
        member = self._members.get(to)
        if member is not None:
            member.link.send(message)

    def send_all(self, message: Message) -> None:
        """Queue a message to every other member."""
        for member in self._members.values():
            member.link.send(message)

    def connected(self) -> list[int]:
        """Indexes of the members there is a link with."""
        return sorted(index for index, member in self._members.items() if member.link.connected)

    def peers(self) -> list[dict[str, object]]:
        """For `status`: each member and whether it is there."""
        return [
            {"index": index, "peer_id": member.link.peer.peer_id, "connected": member.link.connected}
            for index, member in sorted(self._members.items())
        ]

    async def ask_receipts(self, token_hash: bytes, temp_pub: bytes) -> list[Receipt]:
        """Receipts that members say they have given for (token hash, T); waits at most 1.5 s."""
        asked = {index for index in self._members if self._members[index].link.connected}
        if not asked or len(self._questions) >= _MAX_QUESTIONS:
            return []
        number = next(self._numbers)
        question = self._questions[number] = _Question(asked, [], trio.Event())
        try:
            for index in sorted(asked):
                self._members[index].link.send(ReceiptAsk(number, token_hash, temp_pub))
            with trio.move_on_after(RECEIPT_WAIT_S):
                await question.done.wait()
        finally:
            del self._questions[number]
        return question.answers

    def _start(self, own: Hello, peer: Peer) -> None:
        if self._nursery is None:
            raise RuntimeError("the mesh does not run yet")
        link = Link(self.host, own, peer, self._on_frame)
        link.on_up = self._link_up
        inbox_in, inbox_out = trio.open_memory_channel[Message](INBOX)
        member = _Member(link, trio.CancelScope(), inbox_in, inbox_out)
        self._members[peer.index] = member
        self._nursery.start_soon(self._run_member, member)

    def _link_up(self, index: int) -> None:
        self.on_up(index)

    async def _run_member(self, member: _Member) -> None:
        with member.scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(member.link.run)
                nursery.start_soon(self._deliver, member)
        member.link.disconnect()

    async def _deliver(self, member: _Member) -> None:
        async for message in member.inbox_out:
            if self._on_message is not None:
                await self._on_message(member.link.peer.index, message)

    async def _on_stream(self, peer_id: str, stream: INetStream) -> None:
        for member in self._members.values():
            if member.link.peer.peer_id == peer_id:
                await member.link.accept(stream)
                return
        await stream.reset()

    def _on_frame(self, sender: int, frame: Frame) -> None:
        member = self._members.get(sender)
        if member is None:
            return
        match frame:
            case ReceiptAsk():
                self._answer_ask(member, frame)
            case ReceiptAnswer():
                self._take_answer(sender, frame)
            case _:
                try:
                    member.inbox_in.send_nowait(frame)  # type: ignore[arg-type]
                except trio.WouldBlock:
                    counters.REFUSED.labels(str(sender), "inbox_full").inc()

    def _answer_ask(self, member: _Member, ask: ReceiptAsk) -> None:
        if not member.asks.take(1):
            counters.REFUSED.labels(str(member.link.peer.index), "ask_rate").inc()
            return
        source = self._receipt_source
        receipt = None if source is None else source(ask.token_hash, ask.temp_pub)
        if receipt is None:
            member.link.send(ReceiptAnswer(ask.id, "", b"", b""))
        else:
            member.link.send(ReceiptAnswer(ask.id, receipt.data, receipt.signature, receipt.node_pub))

    def _take_answer(self, sender: int, answer: ReceiptAnswer) -> None:
        question = self._questions.get(answer.id)
        if question is None or sender not in question.waiting:
            return
        question.waiting.discard(sender)
        if answer.text:
            question.answers.append(Receipt(answer.text, answer.signature, answer.node_pub))
        if not question.waiting:
            question.done.set()
