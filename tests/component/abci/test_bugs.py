"""A bug in a rule: where it would make replicas diverge the process stops, elsewhere it is a code."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from abci_app.abci import dispatch
from abci_app.abci.application import Application
from abci_app.abci.dispatch import Dispatcher
from abci_app.pb.tendermint.abci import types_pb2 as pb
from authnet_core.errors import Code, number
from tests.component.abci.sockets import Client, finalize, init_chain, serving


class Bug(Exception):
    """What a rule must never raise."""


def broken(*arguments: Any) -> Any:
    raise Bug


@pytest.fixture
def app(tmp_path: Path) -> Any:
    app = Application(tmp_path / "app")
    yield app
    app.close()


def test_one_in_finalize_block_stops_the_process(
    app: Application, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended: list[int] = []
    monkeypatch.setattr(app, "finalize_block", broken)

    def leave(code: int) -> None:
        ended.append(code)
        raise SystemExit(code)

    monkeypatch.setattr(dispatch.os, "_exit", leave)

    async def story() -> None:
        async with serving(tmp_path / "abci.sock", Dispatcher(app)):
            client = await Client.connect(tmp_path / "abci.sock")
            await client.call(init_chain=init_chain())
            client.post(pb.Request(finalize_block=finalize(1)))
            await asyncio.sleep(5)

    with pytest.raises(SystemExit):
        asyncio.run(story())
    assert ended == [70]
    assert app.meta.height == 0


def test_one_in_check_tx_or_query_is_a_code(app: Application, monkeypatch: pytest.MonkeyPatch) -> None:
    dispatcher = Dispatcher(app)
    monkeypatch.setattr(app, "check_tx", broken)
    monkeypatch.setattr(dispatch.queries, "answer", broken)
    checked = dispatcher.answer(pb.Request(check_tx=pb.RequestCheckTx(tx=b"x")))
    asked = dispatcher.answer(pb.Request(query=pb.RequestQuery(path="/status")))
    assert checked.check_tx.code == asked.query.code == number(Code.INTERNAL)
    assert "Bug" not in checked.check_tx.log + asked.query.log


def test_one_in_prepare_proposal_gives_an_empty_block(app: Application, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "prepare_proposal", broken)
    response = Dispatcher(app).answer(pb.Request(prepare_proposal=pb.RequestPrepareProposal(txs=[b"x"], height=1)))
    assert not response.prepare_proposal.txs
