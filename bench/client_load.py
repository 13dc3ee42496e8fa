"""One load generator process: the SDK, many calls at once, its own CPU time told.

    python -m bench.client_load < wish.json > answer.json

Tokens and session keys are made before the clock starts: the provider's RSA is not what is measured.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import uvloop

from authnet_client import Client, LoginSession, Network
from authnet_core.errors import AuthnetError, Code
from localnet.idp import Provider, TokenWish

VERIFIER = "mock-google"
TRY_AGAIN = frozenset({Code.RATE_LIMITED, Code.BUSY, Code.QUOTA_EXCEEDED, Code.POOL_RESERVED})
KINDS = ("resolve", "assign", "login_one", "login_two")
ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Wish:
    """What to do: every user once, in turn, `at_once` at a time, no longer than `limit_s`."""

    dir: str
    kind: str
    users: list[str]
    at_once: int = 1
    limit_s: float = 20.0


@dataclass
class Answer:
    ms: list[float] = field(default_factory=list)
    retries: int = 0
    errors: dict[str, int] = field(default_factory=dict)
    took_s: float = 0.0
    cpu_s: float = 0.0
    per_s: float = 0.0


def run_many(wish: Wish, processes: int) -> Answer:
    """Share a wish among processes that start at the same time; each has `at_once` calls under way.

    One process with many calls at once spends its time in its HTTP client's connection pool.
    """
    parts = [replace(wish, users=wish.users[i::processes]) for i in range(processes)]
    with ThreadPoolExecutor(processes) as pool:
        answers = list(pool.map(run, parts))
    errors = Counter[str]()
    for answer in answers:
        errors.update(answer.errors)
    return Answer(
        ms=[value for answer in answers for value in answer.ms],
        retries=sum(answer.retries for answer in answers),
        errors=dict(errors),
        took_s=max(answer.took_s for answer in answers),
        cpu_s=sum(answer.cpu_s for answer in answers),
        per_s=sum(len(answer.ms) / answer.took_s for answer in answers),
    )


def run(wish: Wish) -> Answer:
    """Run a wish in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.client_load"],
        cwd=ROOT,
        input=json.dumps(asdict(wish)),
        capture_output=True,
        text=True,
        timeout=wish.limit_s + 120,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"the load generator failed: {done.stderr[-800:]}")
    return Answer(**json.loads(done.stdout))


Call = Callable[[], Awaitable[Any]]


def _calls(client: Client, wish: Wish, network: Network) -> list[Call]:
    provider = Provider(Path(wish.dir) / "idp", network.front)

    def resolve(user: str) -> Call:
        return lambda: client.resolve(VERIFIER, user)

    def login_two(user: str) -> Call:
        token = provider.token(TokenWish(VERIFIER, user))
        return lambda: client.login(VERIFIER, user, token, rounds=2)

    def login_one(user: str) -> Call:
        session = LoginSession.start(network.network_id, VERIFIER)
        token = provider.token(TokenWish(VERIFIER, user, nonce=session.nonce))
        return lambda: client.login(VERIFIER, user, token, rounds=1, session=session)

    makers = {"resolve": resolve, "assign": resolve, "login_one": login_one, "login_two": login_two}
    return [makers[wish.kind](user) for user in wish.users]


async def _perform(wish: Wish) -> Answer:
    network = Network.from_file(Path(wish.dir) / "network.json")
    answer, errors = Answer(), Counter[str]()
    async with Client(network) as client:
        calls = iter(_calls(client, wish, network))
        await client.committee()
        await client.resolve(VERIFIER, "warm-up@example.com")
        cpu, began = time.process_time(), time.monotonic()

        async def lane() -> None:
            for call in calls:
                if time.monotonic() - began > wish.limit_s:
                    return
                start = time.monotonic()
                try:
                    answer.retries += await _with_retries(call, began + wish.limit_s + 10)
                except AuthnetError as refusal:
                    errors[refusal.code.value] += 1
                    continue
                answer.ms.append(round((time.monotonic() - start) * 1e3, 2))

        await asyncio.gather(*(lane() for _ in range(wish.at_once)))
        answer.took_s, answer.cpu_s = time.monotonic() - began, time.process_time() - cpu
    answer.errors, answer.per_s = dict(errors), len(answer.ms) / answer.took_s
    return answer


async def _with_retries(call: Call, until: float) -> int:
    """How often it had to be asked again. Raises what can not be cured by waiting."""
    retries = 0
    while True:
        try:
            await call()
        except AuthnetError as refusal:
            if refusal.code not in TRY_AGAIN or time.monotonic() > until:
                raise
            retries += 1
            await asyncio.sleep(0.05)
        else:
            return retries


def main() -> None:
    """Read the wish, perform it, print the answer."""
    wish = Wish(**json.load(sys.stdin))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        answer = runner.run(_perform(wish))
    json.dump(asdict(answer), sys.stdout)
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
