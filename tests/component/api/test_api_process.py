"""`python -m node_api` as a process, and its relay to a scripted CometBFT."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from anyio import create_task_group
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from authnet_core.errors import AuthnetError, Code
from node_api.comet_proxy import MAX_ANSWER, CometCall, CometProxy
from tests.component.api.scripted import free_port, until

TOML = """
[node]
network_id = "n"
[ethereum]
rpc = "http://127.0.0.1:1"
registry = "0x00"
chain_id = 1
[p2p]
listen = "/ip4/127.0.0.1/tcp/1"
[cometbft]
p2p = "127.0.0.1:1"
[api]
listen = "127.0.0.1:{port}"
endpoint = "http://127.0.0.1:{port}"
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    place = Path(tempfile.mkdtemp(prefix="an-", dir="/tmp"))
    (place / "run").mkdir()
    yield place
    shutil.rmtree(place)


def start(folder: Path, port: int, *arguments: str, **options: Any) -> subprocess.Popen[str]:
    (folder / "node.toml").write_text(TOML.format(port=port))
    command = [sys.executable, "-m", "node_api", str(folder / "node.toml"), *arguments]
    return subprocess.Popen(command, text=True, stderr=subprocess.PIPE, **options)


async def wait_listening(port: int) -> None:
    async def answers() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    await until(answers, 30)


@pytest.mark.anyio
async def test_it_waits_politely_for_a_node_that_is_not_up_and_ends_on_sigterm(folder: Path) -> None:
    port = free_port()
    process = start(folder, port)
    try:
        await wait_listening(port)
        async with httpx.AsyncClient(trust_env=False, base_url=f"http://127.0.0.1:{port}") as http:
            assert (await http.get("/healthz")).status_code == 200
            ready = await http.get("/readyz")
            assert (ready.status_code, ready.json()["error"]["code"]) == (503, "UNAVAILABLE")
            asked = await http.post("/sss/jrpc", json={"id": 1, "method": "Ping"})
            assert asked.json()["error"]["authnet"]["code"] == "UNAVAILABLE"
            assert (await http.get("/v1/node-details")).status_code == 503
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    finally:
        process.kill()
        process.wait()


@pytest.mark.anyio
async def test_it_ends_with_its_supervisor(folder: Path) -> None:
    port, (reading, writing) = free_port(), os.pipe()
    process = start(folder, port, "--supervised-fd", str(reading), pass_fds=(reading,))
    os.close(reading)
    try:
        await wait_listening(port)
        os.close(writing)
        assert process.wait(10) == 0
    finally:
        process.kill()
        process.wait()


def test_a_port_in_use_is_named_and_exit_2(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        process = start(folder, taken.getsockname()[1])
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 2
    assert "api.listen" in errors
    assert "Traceback" not in errors


def test_a_missing_file_is_exit_2(folder: Path) -> None:
    command = [sys.executable, "-m", "node_api", str(folder / "absent.toml")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 2
    assert "absent.toml" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.fixture
async def comet(folder: Path) -> AsyncIterator[CometProxy]:
    async def answer(request: Request) -> JSONResponse:
        asked = await request.json()
        if asked["method"] == "genesis":
            return JSONResponse({"result": "x" * (MAX_ANSWER + 1)})
        return JSONResponse({"jsonrpc": "2.0", "id": asked["id"], "result": asked})

    app = Starlette(routes=[Route("/", answer, methods=["POST"])])
    config = uvicorn.Config(app, uds=str(folder / "comet.sock"), log_config=None, lifespan="off")
    server = uvicorn.Server(config)

    async def started() -> bool:
        return server.started

    async with create_task_group() as group:
        group.start_soon(server._serve)
        await until(started)
        proxy = CometProxy(folder / "comet.sock")
        yield proxy
        await proxy.close()
        server.should_exit = True


@pytest.mark.anyio
async def test_comet_calls_are_written_anew(comet: CometProxy) -> None:
    answer = await comet.relay(CometCall("commit", {"height": 7}, "light-1"))
    assert b'"id":"light-1"' in answer
    assert b'"params":{"height":"7"}' in answer


@pytest.mark.anyio
async def test_a_comet_answer_that_never_ends_is_cut_off(comet: CometProxy) -> None:
    with pytest.raises(AuthnetError) as caught:
        await comet.relay(CometCall("genesis"))
    assert caught.value.code is Code.TOO_LARGE
