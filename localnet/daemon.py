"""The process behind a localnet: runs the Ethereum chain, the front and the nodes' supervisors until told to stop.

    python -m localnet.daemon DIR

Outside of any node; holds the identity provider's keys and the registry owner's, no node's. Everything it
starts ends with it: supervisors by a pipe that closes, anvil by the kernel.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import msgspec
import uvicorn

from authnet_core.errors import AuthnetError, Code
from authnet_runtime import rpc
from localnet import deploy, ethereum, folders, front, idp, procs, stages
from localnet import status as status_page
from localnet.discovery import write_network_file
from localnet.members import Members
from localnet.places import Places, load
from localnet.rotation import Rotations, Wish

STAGE_LIMIT_S = 120.0
POLL_S = 0.1
KEEP_UP_S = 0.25
RETIRE_S = 2.0


class Daemon:
    """One running localnet."""

    def __init__(self, places: Places) -> None:
        self.places = places
        self.progress = stages.Progress(places.progress)
        self.environment = {procs.MARK: str(places.dir)}
        self.members = Members(places, self.environment)
        self.rotations = Rotations(places, self.members, self.environment)
        self._rotating = anyio.Lock()
        self.anvil: subprocess.Popen[bytes] | None = None
        self.links: subprocess.Popen[bytes] | None = None
        self.stop = anyio.Event()
        self.provider: idp.Provider | None = None
        self._mining = True

    async def run(self) -> int:
        """Until SIGTERM or the `stop` call; the exit code."""
        failed = False
        async with anyio.create_task_group() as group:
            group.start_soon(self._until_signal)
            await group.start(self._serve_control)
            try:
                await self._begin(group)
                group.start_soon(self._keep_up)
                await self._follow()
                group.start_soon(self._retire)
                await self.stop.wait()
            except (AuthnetError, OSError, TimeoutError, subprocess.SubprocessError) as error:
                if not self.stop.is_set():
                    failed = True
                    self.progress.say("failed", "failed", str(error))
                    # The nodes stay as they are for a look at their logs, until `down`.
                    await self.stop.wait()
            await anyio.to_thread.run_sync(self._end)
            group.cancel_scope.cancel()
        return int(failed)

    async def _begin(self, group: anyio.abc.TaskGroup) -> None:
        """Start everything; what does not depend on each other side by side."""
        places, say = self.places, self.progress.say
        if places.proxied:
            self.links = self._start_links()
        say("ethereum", "doing", "local Ethereum chain")
        self.anvil = ethereum.start(places, self.environment)
        say("folders", "doing", "node folders and keys")
        await anyio.to_thread.run_sync(folders.make_all, places)
        say("folders", "done", f"{places.nodes} node folders")
        await anyio.to_thread.run_sync(ethereum.wait_up, places.eth_rpc)
        say("ethereum", "done", f"Ethereum at {places.eth_rpc}")
        self.provider = await anyio.to_thread.run_sync(idp.Provider, places.idp, places.front)
        await self._open_front(group, self.provider)
        say("front", "done", f"front and identity provider at {places.front}")
        group.start_soon(self._mine)
        deploying = None if await anyio.to_thread.run_sync(deploy.is_deployed, places) else self._start_deploy()
        for index in places.indexes:
            self.members.start(index)
        if deploying is not None:
            say("registry", "doing", "registry contract")
            await self._finish_deploy(deploying)
        say("registry", "done", f"registry at {places.registry()['address']}")

    def _start_links(self) -> subprocess.Popen[bytes]:
        """The proxies between the nodes: a process of its own, so that nothing here slows them down."""
        argv = [sys.executable, "-P", "-m", "localnet.tether", sys.executable]
        argv += ["-P", "-m", "localnet.chaos.links", str(self.places.dir)]
        with (self.places.logs / "links.log").open("ab") as log:
            return subprocess.Popen(argv, env=os.environ | self.environment, stdout=log, stderr=log)

    def _start_deploy(self) -> subprocess.Popen[bytes]:
        with (self.places.logs / "deploy.log").open("ab") as log:
            argv = [sys.executable, "-P", "-m", "localnet.deploy", str(self.places.dir)]
            return subprocess.Popen(argv, env=os.environ | self.environment, stdout=log, stderr=log)

    async def _finish_deploy(self, deploying: subprocess.Popen[bytes]) -> None:
        while (code := deploying.poll()) is None:
            if self.stop.is_set():
                deploying.kill()
            await anyio.sleep(0.03)
        if code != 0:
            raise AuthnetError(Code.INTERNAL, "the registry could not be deployed; see logs/deploy.log")

    async def _open_front(self, group: anyio.abc.TaskGroup, provider: idp.Provider) -> None:
        # Bound here: uvicorn ends the whole process when it cannot bind, and names no port.
        door = socket.create_server(("127.0.0.1", self.places.base_port))
        config = uvicorn.Config(
            front.build(self.places, provider), log_level="warning", access_log=False, lifespan="off", loop="none"
        )
        server = _Server(config)
        group.start_soon(server.serve, [door])
        with anyio.fail_after(10):
            while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
                await anyio.sleep(0.01)

    async def _follow(self) -> None:
        """Report each stage until the network can log a user in. Raises TimeoutError naming the stage."""
        for stage in stages.STAGES:
            deadline = time.monotonic() + STAGE_LIMIT_S
            shown = (-1, 0)
            while True:
                if self.stop.is_set():
                    return
                seen = await anyio.to_thread.run_sync(stage.look, self.places)
                state = "done" if seen[0] >= seen[1] else "doing"
                if seen != shown:
                    self.progress.say(stage.name, state, stage.text(*seen))
                    shown = seen
                if state == "done":
                    break
                if time.monotonic() > deadline:
                    raise TimeoutError(f"{stage.title}: still {seen[0]} of {seen[1]} after {STAGE_LIMIT_S:g} s")
                await anyio.sleep(POLL_S)
            match stage.name:
                case "genesis":
                    write_network_file(self.places)
                case "verifiers":
                    self._mining = False
        self.progress.say("ready", "done", "a user can log in")

    async def _mine(self) -> None:
        """Hurry Ethereum along while the network is being born: a block is final two blocks later."""
        while self._mining and not self.stop.is_set():
            await anyio.to_thread.run_sync(ethereum.mine, self.places.eth_rpc)
            await anyio.sleep(POLL_S)

    async def _keep_up(self) -> None:
        while not self.stop.is_set():
            try:
                self.members.keep_up()
                if self.anvil is not None and self.anvil.poll() is not None:
                    self.anvil = ethereum.start(self.places, self.environment)
            except (OSError, AuthnetError) as error:
                print(f"localnet: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
            await anyio.sleep(KEEP_UP_S)

    async def _retire(self) -> None:
        """Stop nodes of former committees once they have erased their shares."""
        while not self.stop.is_set():
            if len(self.places.committees):
                async with self._rotating:
                    ended = await anyio.to_thread.run_sync(self.rotations.retire)
                if ended:
                    print(f"localnet: nodes {ended} have nothing left to do: stopped", file=sys.stderr, flush=True)
            with anyio.move_on_after(RETIRE_S):
                await self.stop.wait()

    def _end(self) -> None:
        self.members.stop_all()
        for process in (self.anvil, self.links):
            if process is None:
                continue
            process.terminate()
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(5)

    async def _until_signal(self) -> None:
        with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
            async for _ in signals:
                self.stop.set()

    # ---- control socket

    async def _serve_control(self, task_status: anyio.abc.TaskStatus[None]) -> None:
        methods = {
            "status": self._on_status,
            "kill": self._on_kill,
            "start": self._on_start,
            "rotate": self._on_rotate,
            "abort": self._on_abort,
            "rotate_keys": self._on_rotate_keys,
            "provider": self._on_provider,
            "ethereum_kill": self._on_ethereum_kill,
        }
        await rpc.serve(self.places.daemon_sock, methods, mode=0o600, task_status=task_status)

    async def _on_status(self, _: dict[str, Any], __: rpc.Connection) -> Any:
        return await anyio.to_thread.run_sync(status_page.status, self.places, self.members)

    async def _on_kill(self, params: dict[str, Any], _: rpc.Connection) -> Any:
        return {"killed": self.members.kill(int(params["node"]), str(params.get("process", "")))}

    async def _on_start(self, params: dict[str, Any], _: rpc.Connection) -> Any:
        programs = {str(process): str(program) for process, program in params.get("programs", {}).items()}
        self.members.start(int(params["node"]), [str(setting) for setting in params.get("env", [])], programs)
        return {"node": int(params["node"])}

    async def _on_rotate(self, params: dict[str, Any], _: rpc.Connection) -> Any:
        """Begin a hand-over to another committee; the nodes carry it through."""
        wish = msgspec.convert(params, Wish)
        async with self._rotating:
            return await anyio.to_thread.run_sync(self.rotations.begin, wish)

    async def _on_abort(self, params: dict[str, Any], _: rpc.Connection) -> Any:
        async with self._rotating:
            return await anyio.to_thread.run_sync(self.rotations.abort, int(params["epoch"]))

    async def _on_rotate_keys(self, _: dict[str, Any], __: rpc.Connection) -> Any:
        if self.provider is None:
            raise AuthnetError(Code.UNAVAILABLE, "the identity provider is not up yet")
        return {"kids": await anyio.to_thread.run_sync(self.provider.rotate)}

    async def _on_provider(self, params: dict[str, Any], _: rpc.Connection) -> Any:
        """Take the provider's JWKS away, or give it back."""
        if self.provider is None:
            raise AuthnetError(Code.UNAVAILABLE, "the identity provider is not up yet")
        self.provider.is_out = params.get("out") is True
        return {"out": self.provider.is_out}

    async def _on_ethereum_kill(self, _: dict[str, Any], __: rpc.Connection) -> Any:
        """kill -9 of anvil, which comes back by itself with the state it had saved last."""
        if self.anvil is None:
            raise AuthnetError(Code.UNAVAILABLE, "the Ethereum chain is not up yet")
        self.anvil.kill()
        return {"killed": self.anvil.pid}


class _Server(uvicorn.Server):
    """uvicorn inside our own event loop: signals are the daemon's."""

    def capture_signals(self) -> Any:
        from contextlib import nullcontext

        return nullcontext()


def main(argv: list[str]) -> int:
    """Run the localnet that is laid out in argv[0]."""
    places = load(Path(argv[0]))
    if places is None:
        print("localnet: no localnet.json there", file=sys.stderr)
        return 2
    places.daemon_pid.write_text(json.dumps({"pid": os.getpid()}) + "\n")
    try:
        return anyio.run(Daemon(places).run, backend="asyncio")
    finally:
        places.daemon_pid.unlink(missing_ok=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
