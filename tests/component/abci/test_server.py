"""The ABCI socket: framing, order, priority, dropped overlays, and bytes that are no request."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from abci_app.abci.application import Application
from abci_app.abci.dispatch import Dispatcher
from abci_app.abci.framing import MAX_FRAME, Frames, pack
from abci_app.pb.tendermint.abci import types_pb2 as pb
from authnet_core.errors import Code, DecodeError, number
from tests.component.abci.sockets import Client, finalize, init_chain, serving


def run(folder: Path, story: Callable[[Path, Application], Awaitable[None]]) -> None:
    """Serve a fresh application and live `story`."""
    app = Application(folder / "app")

    async def main() -> None:
        path = folder / "abci.sock"
        async with serving(path, Dispatcher(app)):
            await story(path, app)

    asyncio.run(main())
    app.close()


async def two_blocks(client: Client) -> None:
    await client.call(init_chain=init_chain())
    for height in (1, 2):
        await client.call(finalize_block=finalize(height))
        await client.call(commit=pb.RequestCommit())


def test_a_chain_over_the_socket(tmp_path: Path) -> None:
    async def story(path: Path, app: Application) -> None:
        client = await Client.connect(path)
        info = (await client.call(info=pb.RequestInfo())).info
        assert (info.last_block_height, info.last_block_app_hash) == (0, b"")
        started = (await client.call(init_chain=init_chain())).init_chain
        assert len(started.app_hash) == 32
        block = (await client.call(finalize_block=finalize(1, b"junk"))).finalize_block
        assert [result.code for result in block.tx_results] == [number(Code.DECODE)]
        assert (await client.call(info=pb.RequestInfo())).info.last_block_height == 0
        await client.call(commit=pb.RequestCommit())
        info = (await client.call(info=pb.RequestInfo())).info
        assert (info.last_block_height, info.last_block_app_hash) == (1, block.app_hash)

    run(tmp_path, story)


def test_answers_come_in_order_of_the_requests(tmp_path: Path) -> None:
    async def story(path: Path, app: Application) -> None:
        client = await Client.connect(path)
        client.post(*(pb.Request(echo=pb.RequestEcho(message=str(i))) for i in range(300)))
        assert [(await client.take()).echo.message for _ in range(300)] == [str(i) for i in range(300)]

    run(tmp_path, story)


def test_consensus_goes_before_a_flood_of_checks(tmp_path: Path) -> None:
    async def story(path: Path, app: Application) -> None:
        flood, consensus = await Client.connect(path), await Client.connect(path)
        await two_blocks(consensus)
        answered = 0

        async def drain() -> None:
            nonlocal answered
            for _ in range(4_000):
                await flood.take()
                answered += 1

        flood.post(*(pb.Request(check_tx=pb.RequestCheckTx(tx=b"x%d" % i)) for i in range(4_000)))
        task = asyncio.create_task(drain())
        await consensus.call(finalize_block=finalize(3))
        assert answered < 4_000
        await task

    run(tmp_path, story)


def test_a_new_consensus_connection_drops_the_overlay(tmp_path: Path) -> None:
    async def story(path: Path, app: Application) -> None:
        first = await Client.connect(path)
        await two_blocks(first)
        left = (await first.call(finalize_block=finalize(3))).finalize_block
        first.close()
        second = await Client.connect(path)
        again = (await second.call(finalize_block=finalize(3))).finalize_block
        assert again.app_hash == left.app_hash
        await second.call(commit=pb.RequestCommit())
        assert app.meta.height == 3

    run(tmp_path, story)


def test_other_connections_do_not_drop_it(tmp_path: Path) -> None:
    async def story(path: Path, app: Application) -> None:
        consensus, other = await Client.connect(path), await Client.connect(path)
        await two_blocks(consensus)
        await consensus.call(finalize_block=finalize(3))
        await other.call(info=pb.RequestInfo())
        await other.call(query=pb.RequestQuery(path="/status"))
        await consensus.call(commit=pb.RequestCommit())
        assert app.meta.height == 3

    run(tmp_path, story)


def test_bad_bytes_close_one_connection_only(tmp_path: Path) -> None:
    async def story(path: Path, app: Application) -> None:
        good, bad = await Client.connect(path), await Client.connect(path)
        bad.writer.write(b"\x05junk!")
        assert await bad.reader.read() == b""
        huge = await Client.connect(path)
        huge.writer.write(b"\xff\xff\xff\xff\x7f")
        assert await huge.reader.read() == b""
        assert (await good.call(echo=pb.RequestEcho(message="still here"))).echo.message == "still here"

    run(tmp_path, story)


def test_what_is_not_served_says_so(tmp_path: Path) -> None:
    async def story(path: Path, app: Application) -> None:
        client = await Client.connect(path)
        assert "insert_tx" in (await client.call(insert_tx=pb.RequestInsertTx())).exception.error
        offered = await client.call(offer_snapshot=pb.RequestOfferSnapshot())
        assert offered.offer_snapshot.result == pb.ResponseOfferSnapshot.ABORT, (
            "an offer that no light client vouches for"
        )
        assert not (await client.call(list_snapshots=pb.RequestListSnapshots())).list_snapshots.snapshots
        bad = init_chain()
        bad.chain_id = "other-1"
        assert "chain_id" in (await client.call(init_chain=bad)).exception.error

    run(tmp_path, story)


def test_a_stale_socket_file_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "abci.sock").write_bytes(b"")

    async def story(path: Path, app: Application) -> None:
        client = await Client.connect(path)
        assert (await client.call(echo=pb.RequestEcho(message="x"))).echo.message == "x"

    run(tmp_path, story)


@given(st.lists(st.binary(max_size=300), max_size=8), st.integers(1, 50))
def test_frames_survive_any_cut(payloads: list[bytes], step: int) -> None:
    stream = b"".join(map(pack, payloads))
    frames, found = Frames(), []
    for start in range(0, len(stream), step):
        found += frames.feed(stream[start : start + step])
    assert found == payloads


@given(st.binary(max_size=400))
def test_any_bytes_are_frames_or_refused(stream: bytes) -> None:
    try:
        Frames().feed(stream)
    except DecodeError:
        return


@pytest.mark.parametrize("stream", [b"\xff" * 11, b"\x80" * 11, b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"])
def test_lengths_that_can_not_be(stream: bytes) -> None:
    with pytest.raises(DecodeError):
        Frames().feed(stream)
    assert MAX_FRAME < 2**32


def kinds() -> list[str]:
    return [field.name for field in pb.Request.DESCRIPTOR.fields]


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(["check_tx", "query", "process_proposal"]), st.binary(max_size=200), st.text(max_size=40))
def test_any_input_on_the_open_connections_is_answered(
    dispatcher: Dispatcher, kind: str, raw: bytes, text: str
) -> None:
    requests = {
        "check_tx": pb.Request(check_tx=pb.RequestCheckTx(tx=raw)),
        "query": pb.Request(query=pb.RequestQuery(path=text, data=raw, height=len(raw), prove=True)),
        "process_proposal": pb.Request(process_proposal=pb.RequestProcessProposal(txs=[raw])),
    }
    response = dispatcher.answer(requests[kind])
    assert response.WhichOneof("value") == kind


@pytest.fixture
def dispatcher(tmp_path: Path) -> Dispatcher:
    dispatcher = Dispatcher(Application(tmp_path / "app"))
    dispatcher.answer(pb.Request(init_chain=init_chain()))
    dispatcher.answer(pb.Request(finalize_block=finalize(1)))
    dispatcher.answer(pb.Request(commit=pb.RequestCommit()))
    return dispatcher


def test_every_abci_2_0_request_is_known(dispatcher: Dispatcher) -> None:
    assert set(dispatcher.calls) == set(kinds()) - {"insert_tx", "reap_txs"}
