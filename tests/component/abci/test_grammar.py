"""The calls that a real CometBFT makes are the ABCI grammar's, and ours survive its order, restarts included."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest

from abci_app.abci.application import Application
from abci_app.abci.dispatch import Dispatcher
from tests.component.abci.node import Node
from tests.component.abci.sockets import serving
from tests.component.abci.test_chain import first_epoch

pytestmark = pytest.mark.e2e
LETTERS = {"init_chain": "i", "prepare_proposal": "p", "process_proposal": "r", "finalize_block": "f", "commit": "c"}
CLEAN_START = re.compile(r"i((p|r)*fc)+(p|r)*f?")
RECOVERY = re.compile(r"((p|r)*fc)+(p|r)*f?")
"""Without InitChain once a block is committed. The last height may be unfinished."""


class Recorder:
    """A dispatcher that remembers which consensus calls came."""

    def __init__(self, app: Application) -> None:
        self._inner = Dispatcher(app)
        self.calls = ""

    def drop_uncommitted(self) -> None:
        self._inner.drop_uncommitted()

    def answer(self, request: Any) -> Any:
        self.calls += LETTERS.get(request.WhichOneof("value"), "")
        return self._inner.answer(request)


async def lives(node: Node, recorder: Recorder, app: Application, blocks: int) -> None:
    """Run CometBFT against this process until it made some blocks."""
    async with serving(node.run / "abci.sock", recorder):  # type: ignore[arg-type]
        node.start_comet(CMT_CONSENSUS_CREATE_EMPTY_BLOCKS_INTERVAL="200ms")
        target = app.meta.height + blocks
        while app.meta.height < target:
            await asyncio.sleep(0.02)
            if app.meta.height:
                await asyncio.to_thread(send_epoch, node)
        node.stop()
        await asyncio.sleep(0.05)


def send_epoch(node: Node) -> None:
    if node.height() >= 1:
        node.send(first_epoch(node))


def test_calls_follow_the_grammar(node: Node) -> None:
    app = Application(node.folder / "abci")
    recorder = Recorder(app)
    asyncio.run(lives(node, recorder, app, 3))
    assert CLEAN_START.fullmatch(recorder.calls), recorder.calls
    again = Recorder(app)
    asyncio.run(lives(node, again, app, 2))
    assert RECOVERY.fullmatch(again.calls), again.calls
    assert app.meta.height >= 5
    app.close()


def test_the_pattern_refuses_what_the_grammar_does() -> None:
    for wrong in ("fc", "ifcifc", "iff", "icf", "ifpc", "i"):
        assert not CLEAN_START.fullmatch(wrong)
