"""`make demo`: the story of a network that gives logins their keys, told with real calls and their times.

    python -m localnet.demo [--nodes 5] [--base-port 8788] [--dir .localnet]

Uses the network from outside only: the SDK, torus.js in Node, the command line's own daemon calls. Leaves it up.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio

from authnet_client import Client, LoginOutcome, Network, Resolution
from authnet_core.crypto.address import eip55_address
from authnet_core.crypto.secp256k1 import pub
from authnet_core.errors import AuthnetError, Code
from authnet_core.protocol.committee import Committee
from authnet_runtime.retained import all_retained
from authnet_runtime.rpc_once import call_once
from localnet import places as layout
from localnet.demo_crowd import crowd_arrives
from localnet.demo_handover import others_take_over, who_leaves
from localnet.discovery import ask_chain
from localnet.narrator import Narrator
from localnet.places import Places

VERIFIER = "mock-google"
POOL = {"rows": 64, "pool_low": 600, "pool_high": 600, "serve_delay_ms": 10_000}
"""Genesis parameters of a new demo network: small enough for the story to drain the pool."""
TORUSJS = Path(__file__).resolve().parent.parent / "tests" / "torusjs"


class Demo:
    """What the steps of the story share."""

    def __init__(self, places: Places, client: Client, say: Narrator) -> None:
        self.places, self.client, self.say = places, client, say
        self.nodes = self._members()
        """The committee's node indexes in party order."""
        self.size = Committee.of(len(self.nodes))

    def meet_the_committee(self) -> None:
        """Who is in it now."""
        self.places = layout.load(self.places.dir) or self.places
        self.nodes = self._members()
        self.size = Committee.of(len(self.nodes))

    def _members(self) -> tuple[int, ...]:
        return self.places.committee(self.status()["epoch"])

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = call_once(self.places.daemon_sock, "status", timeout=20)
        return found

    def ask(self, method: str, **params: Any) -> Any:
        return call_once(self.places.daemon_sock, method, params, timeout=30)

    async def until(self, what: str, done: Callable[[dict[str, Any]], bool], limit_s: float) -> dict[str, Any]:
        """Poll the status, showing the pool, until `done`. Raises AuthnetError(TIMEOUT)."""
        deadline = time.monotonic() + limit_s
        while not done(found := await anyio.to_thread.run_sync(self.status)):
            if time.monotonic() > deadline:
                raise AuthnetError(Code.TIMEOUT, f"{what}: not within {limit_s:g} s")
            self.say.ticking(f"{what}: {found['pool']['free']} keys free")
            await anyio.sleep(0.2)
        return found

    async def login(self, user: str, rounds: int) -> LoginOutcome:
        tokens = self.client.dev_tokens(VERIFIER, user)
        return await self.client.login(VERIFIER, user, tokens, rounds=rounds)


async def tell(demo: Demo) -> None:
    """The whole story, in order."""
    await pool_fills(demo)
    bob, found = await address_before_login(demo)
    await bob_logs_in(demo, bob, found)
    await torus_js_logs_in(demo, bob, found)
    await one_node_dies(demo, bob, found)
    await crowd_arrives(demo)
    await only_k_are_left(demo, bob, found)
    await nodes_come_back(demo)
    await others_take_over(demo, bob, found)


async def pool_fills(demo: Demo) -> None:
    demo.say.chapter("The nodes make keys together, before anybody needs one. No node ever holds a whole key.")
    begun, start = time.monotonic(), demo.status()["pool"]
    enough = min(POOL["pool_low"], start["low"])
    found = await demo.until("pool", lambda s: s["pool"]["free"] >= enough, 120)
    made = found["pool"]["free"] - start["free"]
    speed = f"{made / (time.monotonic() - begun):.0f} keys/s" if made > 0 else "it was full already"
    demo.say.row("the pool of keys", f"{found['pool']['free']} free ({speed})", begun)


async def address_before_login(demo: Demo) -> tuple[str, Resolution]:
    bob = await somebody_new(demo)
    demo.say.chapter(f"Anyone may ask for the address of {bob}, who never logged in.")
    begun = time.monotonic()
    found = await demo.client.resolve(VERIFIER, bob)
    agreed = f"{len(found.agreed)} nodes agree, key {found.key_index}"
    demo.say.row("bob's address, before his first login", f"{found.address} ({agreed})", begun)
    return bob, found


async def somebody_new(demo: Demo) -> str:
    """bob, or the next of his name who has no key yet."""
    for number in range(1, 1000):
        name = f"bob{number if number > 1 else ''}@example.com"
        try:
            await demo.client.resolve(VERIFIER, name, assign=False)
        except AuthnetError as refusal:
            if refusal.code in (Code.ACCOUNT_NOT_FOUND, Code.NOT_FOUND):
                return name
            raise
    raise AuthnetError(Code.BUSY, "this network has seen a thousand bobs")


async def bob_logs_in(demo: Demo, bob: str, found: Resolution) -> None:
    demo.say.chapter("bob logs in with an RS256 token of the local identity provider, bound to his session.")
    begun = time.monotonic()
    done = await demo.login(bob, rounds=1)
    opened = eip55_address(pub(bytes.fromhex(done.private_key)))
    demo.say.check(opened == found.address, "the key he got opens the address that was looked up")
    demo.say.row("bob logs in, one round", f"his key opens {opened[:10]}…", begun)


async def torus_js_logs_in(demo: Demo, bob: str, found: Resolution) -> None:
    demo.say.chapter("The same by an unmodified torus.js 17 in Node: receipts first, then the token.")
    begun = time.monotonic()
    run = await anyio.run_process(
        ["node", "login.mjs", bob], cwd=TORUSJS, env=environment(demo.places), check=False, stderr=subprocess.PIPE
    )
    if run.returncode != 0:
        raise AuthnetError(Code.INTERNAL, f"torus.js: {run.stderr.decode(errors='replace').strip()[-300:]}")
    answer = json.loads(run.stdout)
    demo.say.check(answer["opens"] and answer["address"] == found.address, "torus.js gets the same key")
    text = f"the same key; its own login took {answer['ms']['login']} ms"
    demo.say.row("bob logs in by torus.js", text, begun)


def environment(places: Places) -> dict[str, str]:
    import os

    return os.environ | {"NET_URL": places.front}


async def one_node_dies(demo: Demo, bob: str, found: Resolution) -> None:
    last = demo.nodes[-1]
    demo.say.chapter(f"kill -9 of node {last}: all five of its processes at once.")
    demo.ask("kill", node=last)
    for rounds, words in ((1, "one round"), (2, "two rounds")):
        begun = time.monotonic()
        done = await demo.login(bob, rounds)
        demo.say.check(done.address == found.address, f"{words}: the same address")
        demo.say.row(f"login without node {last}, {words}", f"works, {answering(done)} answered", begun)


def answering(done: LoginOutcome) -> str:
    return f"nodes {', '.join(str(node.index) for node in done.nodes if node.ok)}"


async def only_k_are_left(demo: Demo, bob: str, found: Resolution) -> None:
    size = demo.size
    down = demo.nodes[size.k : -1]
    demo.say.chapter(f"kill -9 of node {' and '.join(map(str, down))} too: {size.k} are left.")
    for index in down:
        demo.ask("kill", node=index)
    begun = time.monotonic()
    done = await demo.login(bob, rounds=1)
    demo.say.check(done.address == found.address, f"exactly {size.k} nodes still give bob his key")
    demo.say.row(f"one-round login with {size.k} of {size.n} nodes", f"works, {answering(done)} answered", begun)
    begun = time.monotonic()
    try:
        await demo.login(bob, rounds=2)
    except AuthnetError as refusal:
        demo.say.row("two-round login", f"refused: {refusal.code} {refusal.message}", begun)
    else:
        demo.say.check(False, f"a two-round login needs {size.quorum} nodes")


async def nodes_come_back(demo: Demo) -> None:
    away = demo.nodes[demo.size.k :]
    demo.say.chapter(f"Nodes {', '.join(map(str, away))} come back, and fetch what they missed.")
    missed = [s for s in all_retained(lambda path: ask_chain(demo.places, path)) if demo.size.n not in s["holders"]]
    begun = time.monotonic()
    for index in away:
        demo.ask("start", node=index)
    await demo.until("nodes", lambda s: all(node["state"] == "up" for node in members(s)), 60)
    found = await demo.until("catch-up", lambda s: all(node["holds_all"] for node in members(s)), 60)
    text = f"all hold all again; node {demo.nodes[-1]} had missed {len(missed)} session(s)"
    demo.say.row("catch-up", text, begun)
    begun = time.monotonic()
    found = await demo.until("pool", lambda s: s["ready"] and s["pool"]["free"] >= s["pool"]["low"], 90)
    demo.say.row("the pool", f"{found['pool']['free']} free, {found['pool']['assigned']} given away", begun)


def members(status: dict[str, Any]) -> list[dict[str, Any]]:
    """The nodes of the present committee."""
    return [node for node in status["nodes"] if node["party"]]


def up_command(folder: Path) -> list[str]:
    return [sys.executable, "-m", "authnet.cli", "localnet", "up", "--dir", str(folder)]


def start(folder: Path, nodes: int, port: int) -> Places:
    """A running network with all nodes up: the one that is there, or a new one. Raises SystemExit."""
    if layout.load(folder) is None:
        for index in range(1, nodes + 1):
            node = folder / f"node{index}"
            node.mkdir(mode=0o700, parents=True, exist_ok=True)
            (node / "genesis_params.json").write_text(json.dumps(POOL))
    command = up_command(folder)
    if layout.load(folder) is None:
        command += ["--nodes", str(nodes), "--base-port", str(port)]
    # Progress is on stderr; the block of addresses comes at the end of the story.
    if (code := subprocess.run(command, stdout=subprocess.DEVNULL, check=False).returncode) != 0:
        sys.exit(code)
    places = layout.load(folder)
    if places is None:
        sys.exit(f"there is no network in {folder}")
    for node in call_once(places.daemon_sock, "status", timeout=20)["nodes"]:
        if node["state"] == "killed":
            call_once(places.daemon_sock, "start", {"node": node["index"]})
    return places


async def run(places: Places, say: Narrator) -> None:
    async with Client(Network.from_file(places.dir / "network.json")) as client:
        await tell(Demo(places, client, say))


def main() -> int:
    """Tell the story; 1 if a step did not come true."""
    parser = argparse.ArgumentParser(prog="make demo")
    parser.add_argument("--nodes", type=int, default=layout.DEFAULT_NODES)
    parser.add_argument("--base-port", type=int, default=layout.DEFAULT_PORT)
    parser.add_argument("--dir", type=Path, default=layout.DEFAULT_DIR)
    args = parser.parse_args()
    begun = time.monotonic()
    places = start(args.dir.resolve(), args.nodes, args.base_port)
    say = Narrator()
    say.row("the network starts", f"{places.nodes} nodes of five processes, {places.front}", begun)
    try:
        anyio.run(run, places, say)
    except AuthnetError as error:
        say.failed(f"{error.code}: {error.message}")
        return 1
    say.table(time.monotonic() - begun)
    say.epilogue(who_leaves(places))
    return subprocess.run(up_command(places.dir), check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
