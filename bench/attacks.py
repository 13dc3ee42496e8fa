"""Attacks on a node's public port by plain sockets, each from loopback addresses of its own. Only for a local network.

An attack is a coroutine that goes on until it is told to stop or has done its count; it notes every answer by its code.
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import secrets
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

VERIFIER = "mock-google"
PING = {"jsonrpc": "2.0", "id": 1, "method": "Ping", "params": {}}
READ_S = 30.0


@dataclass
class Attack:
    """What is attacked, from where, for how long, and what came back."""

    endpoint: str
    network: int
    """Third part of 127.9.x.y, so that attacks do not share buckets."""
    until: float
    limit: int = 1 << 60
    """Requests or connections at most."""
    seen: Counter[str] = field(default_factory=Counter)
    sent: int = 0

    @property
    def going(self) -> bool:
        return time.monotonic() < self.until and self.sent < self.limit

    def address(self, number: int) -> str:
        return f"127.{9 + number // 250 % 200}.{self.network}.{number % 250 + 1}"


class Line:
    """One connection from one address; opened again when the node closes it."""

    def __init__(self, attack: Attack, number: int) -> None:
        self._attack, self._from = attack, attack.address(number)
        self._pair: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._pair is None:
            where = urlsplit(self._attack.endpoint)
            self._pair = await asyncio.open_connection(where.hostname, where.port, local_addr=(self._from, 0))
        return self._pair

    def close(self) -> None:
        if self._pair is not None:
            self._pair[1].close()
            self._pair = None

    async def ask(self, request: bytes) -> None:
        """Send, read one answer, note its code."""
        self._attack.sent += 1
        try:
            async with asyncio.timeout(READ_S):
                reader, writer = await self.open()
                writer.write(request)
                head = await reader.readuntil(b"\r\n\r\n")
                size = next((int(h[15:]) for h in head.lower().split(b"\r\n") if h.startswith(b"content-length:")), 0)
                self._attack.seen[code_of(head, await reader.readexactly(size))] += 1
            if b"connection: close" in head.lower():
                self.close()
        except (OSError, EOFError, TimeoutError):
            self._attack.seen["closed"] += 1
            self.close()


def code_of(head: bytes, body: bytes) -> str:
    """`ok`, the code of a refusal, or the HTTP status of an answer without one."""
    try:
        answer = json.loads(body)
    except ValueError:
        return f"HTTP {head.split()[1].decode()}"
    error = answer.get("error") if isinstance(answer, dict) else None
    if not error:
        return "ok"
    return str(error["authnet"]["code"] if "authnet" in error else error["code"])


def post(body: bytes) -> bytes:
    return b"POST /sss/jrpc HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(body) + body


def call(method: str, **params: object) -> bytes:
    return post(json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode())


Requests = Callable[[], bytes]
Run = Callable[[Attack], Awaitable[None]]


def repeat(requests: Requests, addresses: int, lines: int, pause_s: float = 0.0) -> Run:
    """`lines` connections from `addresses` addresses, each asking again and again."""

    async def run(attack: Attack) -> None:
        async def one(number: int) -> None:
            line = Line(attack, number % addresses)
            while attack.going:
                await line.ask(requests())
                await asyncio.sleep(pause_s)
            line.close()

        await asyncio.gather(*(one(number) for number in range(lines)))

    return run


def hold(first: bytes, drip: bytes, addresses: int, lines: int) -> Run:
    """Connections that begin like this and then say next to nothing; a cut one is opened again."""

    async def run(attack: Attack) -> None:
        async def one(number: int) -> None:
            while attack.going:
                line = Line(attack, number % addresses)
                attack.sent += 1
                try:
                    reader, writer = await line.open()
                    writer.write(first)
                    await _drip(attack, reader, writer, drip)
                except OSError:
                    attack.seen["closed"] += 1
                line.close()
                await asyncio.sleep(0.05)

        await asyncio.gather(*(one(number) for number in range(lines)))

    return run


async def _drip(attack: Attack, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, drip: bytes) -> None:
    answer = b""
    while time.monotonic() < attack.until:
        try:
            async with asyncio.timeout(0.5):
                part = await reader.read(4096)
        except TimeoutError:
            writer.write(drip)
            await writer.drain()
            continue
        answer += part
        if not part:
            head, _, body = answer.partition(b"\r\n\r\n")
            attack.seen[code_of(head, body) if head else "closed"] += 1
            return


def ahead(request: bytes, count: int) -> Run:
    """Many requests in one packet."""

    async def run(attack: Attack) -> None:
        while attack.going:
            line = Line(attack, attack.sent % 250)
            attack.sent += count
            try:
                async with asyncio.timeout(READ_S):
                    reader, writer = await line.open()
                    writer.write(request * count)
                    answer = await reader.read()
                attack.seen["ok"] += answer.count(b" 200 OK")
                attack.seen["HTTP 400"] += answer.count(b" 400 Bad")
            except (OSError, TimeoutError):
                attack.seen["closed"] += 1
            line.close()
            await asyncio.sleep(0.02)

    return run


_numbers = itertools.count()


def _unknown(prefix: str) -> str:
    return f"{prefix}-{next(_numbers)}-{secrets.token_hex(4)}@example.com"


def made_up_token() -> bytes:
    """A login with a token whose key nobody has published; its signature is never looked at."""

    def part(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    token = f"{part({'alg': 'RS256', 'kid': secrets.token_hex(8)})}.{part({'sub': 'x'})}.{'A' * 342}"
    item = {"verifier_id": "x", "idtoken": token, "verifieridentifier": VERIFIER, "nodesignatures": []}
    x, y = GENERATOR[:64], GENERATOR[64:]
    return call("GetShareOrKeyAssign", verifieridentifier=VERIFIER, item=[item], temppubx=x, temppuby=y)


GENERATOR = (
    "79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"
    "483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8"
)
HALF_A_HEAD = b"POST /sss/jrpc HTTP/1.1\r\nhost: x\r\n"
HALF_A_BODY = HALF_A_HEAD + b"content-length: 60000\r\n\r\n{"


@dataclass(frozen=True)
class Kind:
    """One row of the table: what is done, and which metric of the nodes shows it."""

    name: str
    run: Run
    metric: str
    """Samples that begin so are added up over all nodes."""


def _refused(outcome: str) -> str:
    return f'authnet_api_requests_total{{method="none",outcome="{outcome}"'


def _dropped(why: str) -> str:
    return f'authnet_api_dropped_connections_total{{process="node_api",why="{why}"'


PING_REQUEST = post(json.dumps(PING).encode())
KINDS: tuple[Kind, ...] = (
    Kind("flood, one address", repeat(lambda: PING_REQUEST, 1, 16), 'authnet_api_rate_limited_total{bucket="address"'),
    Kind("flood, 200 addresses", repeat(lambda: PING_REQUEST, 200, 200), "authnet_api_requests_total"),
    Kind("slow heads", hold(HALF_A_HEAD, b"x: y\r\n", 4, 200), _dropped("slow_head")),
    Kind("slow bodies", hold(HALF_A_BODY, b" ", 4, 200), _refused("TIMEOUT")),
    Kind("silent, 600 addresses", hold(b"", b"", 600, 600), _dropped("made_room")),
    Kind(
        "kept alive, 600 addresses",
        hold(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n", b"", 600, 600),
        _dropped("made_room"),
    ),
    Kind(
        "large heads",
        repeat(lambda: b"GET / HTTP/1.1\r\nx: " + b"y" * 20_000 + b"\r\n\r\n", 50, 8),
        _dropped("head_too_large"),
    ),
    Kind("large bodies", repeat(lambda: post(b" " * 70_000), 50, 8, 0.02), _refused("TOO_LARGE")),
    Kind("deep JSON", repeat(lambda: post(b"[" * 60_000), 50, 8, 0.02), _refused("DECODE")),
    Kind("batches", repeat(lambda: post(json.dumps([PING] * 200).encode()), 50, 8, 0.02), _refused("MALFORMED")),
    Kind("sent ahead", ahead(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n", 1_500), _dropped("too_far_ahead")),
    Kind("made-up token keys", repeat(made_up_token, 50, 16, 0.02), "authnet_unknown_token_keys_total"),
    Kind(
        "enumeration, 50 addresses",
        repeat(lambda: call("VerifierLookupRequest", verifier=VERIFIER, verifier_id=_unknown("guess")), 50, 16),
        'authnet_api_requests_total{method="VerifierLookupRequest"',
    ),
    Kind(
        "pool drain, one address",
        repeat(lambda: call("GetPubKeyOrKeyAssign", verifier=VERIFIER, verifier_id=_unknown("drain")), 1, 16),
        "authnet_api_rate_limited_total",
    ),
    Kind(
        "pool drain, 50 addresses",
        repeat(lambda: call("GetPubKeyOrKeyAssign", verifier=VERIFIER, verifier_id=_unknown("drain")), 50, 50),
        'authnet_api_requests_total{method="GetPubKeyOrKeyAssign",outcome="QUOTA_EXCEEDED"',
    ),
)
