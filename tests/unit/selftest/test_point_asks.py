"""What a mesh does with an ask for points: one at a time a peer, and not too often."""

from __future__ import annotations

import os
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import trio
import trio.testing

from p2p_dkg.network import mesh as module
from p2p_dkg.network.directory import Peer
from p2p_dkg.network.frames import Frame, PointAnswer, PointAsk
from p2p_dkg.network.limits import TokenBucket
from p2p_dkg.network.mesh import POINT_ASKS_BURST, POINTS_WAIT_S, Mesh

POINT = b"\x02" * 33


class Asked:
    """A mesh with one peer, which asks it; `known` is what the node answers with."""

    def __init__(self, known: tuple[bytes, ...] | None = (POINT,)) -> None:
        self.mesh = Mesh(os.urandom(32), "/ip4/127.0.0.1/tcp/1", "")
        self.mesh.answer_points(self.source)
        self.known, self.delay_s = known, 0.0
        self.calls: list[tuple[Peer, int, Sequence[int]]] = []
        self.sent: list[Frame] = []
        peer = Peer("a", "", "a", ((2, 1),))
        self.link: Any = SimpleNamespace(peer=peer, send=self.sent.append)
        nobody: Any = None
        self.member = module._Member(self.link, trio.CancelScope(), nobody, nobody)
        self.member.point_asks = TokenBucket(1.0, POINT_ASKS_BURST, clock=lambda: 0.0)
        self.mesh._members["a"] = self.member

    async def source(self, peer: Peer, epoch: int, indexes: Sequence[int]) -> tuple[bytes, ...] | None:
        self.calls.append((peer, epoch, indexes))
        await trio.sleep(self.delay_s)
        return self.known

    def hear(self, *asks: int, together: bool = False) -> None:
        """Asks with these ids, each after the answer to the one before, or all at once."""

        async def run() -> None:
            async with trio.open_nursery() as nursery:
                self.mesh._nursery = nursery
                for number in asks:
                    self.mesh._on_frame(self.link, PointAsk(number, 2, (7,)))
                    if not together:
                        await trio.sleep(2 * POINTS_WAIT_S)

        trio.run(run, clock=trio.testing.MockClock(autojump_threshold=0))


def test_an_answer_names_question_and_epoch() -> None:
    asked = Asked()
    asked.hear(5)
    assert asked.sent == [PointAnswer(5, 2, (POINT,))]
    assert asked.calls == [(asked.link.peer, 2, (7,))]


def test_who_may_not_know_is_not_answered() -> None:
    asked = Asked(None)
    asked.hear(5)
    assert asked.sent == []
    assert not asked.member.is_given_points


def test_one_ask_of_a_peer_is_answered_at_a_time() -> None:
    asked = Asked()
    asked.hear(1, 2, 3, together=True)
    assert asked.sent == [PointAnswer(1, 2, (POINT,))]
    asked.hear(4)
    assert len(asked.sent) == 2


def test_a_peer_asks_only_so_often() -> None:
    asked = Asked()
    asked.hear(*range(10))
    assert len(asked.sent) == len(asked.calls) == POINT_ASKS_BURST


def test_an_answer_that_takes_too_long_is_none_and_blocks_no_other() -> None:
    asked = Asked()
    asked.delay_s = 100 * POINTS_WAIT_S
    asked.hear(1)
    asked.delay_s = 0
    asked.hear(2)
    assert asked.sent == [PointAnswer(2, 2, (POINT,))]


def test_an_answer_counts_with_the_epoch_and_the_number_of_keys_that_were_asked() -> None:
    asked = Asked()
    asked.link.connected = True
    asked.mesh._directory.members = lambda epoch: {1: "a"} if epoch == 2 else {}  # type: ignore[method-assign]
    found: list[dict[int, tuple[bytes, ...]]] = []

    async def ask() -> None:
        found.append(await asked.mesh.ask_points(2, (7, 9)))

    async def run() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask)
            await trio.testing.wait_all_tasks_blocked()
            (question,) = asked.sent
            assert isinstance(question, PointAsk)
            assert (question.epoch, question.indexes) == (2, (7, 9))
            for epoch, points in ((1, (POINT, POINT)), (2, (POINT,)), (2, (b"", POINT)), (2, (POINT, POINT))):
                asked.mesh._on_frame(asked.link, PointAnswer(question.id, epoch, points))

    trio.run(run, clock=trio.testing.MockClock(autojump_threshold=0.05))
    assert found == [{1: (b"", POINT)}]
