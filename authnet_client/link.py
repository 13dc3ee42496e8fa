"""HTTP to the nodes: kept-alive connections, bounded answers, coded failures with one sentence each.

Requests run in the client's own task group: who has enough answers goes on, the rest finish in the background
and keep their connections warm. Nothing of the environment is used.
"""

from __future__ import annotations

import math
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Generic, TypeVar

import anyio
import httpcore
import httpx
import msgspec
from anyio.abc import TaskGroup

from authnet_client.connections import Connections, request_of
from authnet_core.errors import AuthnetError, Code
from authnet_core.json_text import NOT_JSON

T = TypeVar("T")
_URLS = 64
HEDGE_S = 0.1
"""After so long without enough answers, all nodes are asked: a login at a good network takes a third of it."""
HEDGE_TIMES = 2.0
"""Where good answers take longer than that, after so many times what they take: asking everybody because everybody is
slow makes them slower."""
_LATELY = 16
"""Good answers whose median says what they take: a few nodes that are slow on purpose do not move it."""
SHY_S = 10.0
"""How long a node that failed is asked last."""
_HEADERS = {"accept-encoding": "identity", "user-agent": "authnet-client"}
_JSON = _HEADERS | {"content-type": "application/json; charset=utf-8"}


class NodeError(msgspec.Struct):
    """`error` of an answer: JSON-RPC's with our part, or the GET side's."""

    code: int | str = ""
    message: str = ""
    data: Any = None
    authnet: Any = None


class RpcAnswer(msgspec.Struct):
    """A JSON-RPC answer whose result is read later."""

    result: msgspec.Raw = msgspec.Raw()
    error: NodeError | None = None


class GetRefusal(msgspec.Struct):
    error: NodeError


@dataclass(frozen=True, slots=True)
class Answer(Generic[T]):
    """What one node said, or why it said nothing."""

    index: int
    ms: float
    value: T | None = None
    error: AuthnetError | None = None


class Answers(Generic[T]):
    """Async iterator over what nodes say: some asked at once, the others when one of those fails or they take long.

    May be left and taken up again.
    """

    def __init__(
        self, ask: Callable[[Answers[T], int], None], first: Iterable[int], later: Iterable[int], patience_s: float
    ) -> None:
        self._ask, self._later = ask, deque(later)
        self._arrived: deque[Answer[T]] = deque()
        self._more = anyio.Event()
        self._patient_until = anyio.current_time() + patience_s
        self._left = 0
        for index in first:
            self._start(index)

    async def run(self, index: int, call: Callable[[int], Awaitable[T]]) -> Answer[T]:
        """Ask one node and keep its answer."""
        answer = await _timed(index, call)
        self._arrived.append(answer)
        self._more.set()
        return answer

    def __aiter__(self) -> Answers[T]:
        return self

    async def __anext__(self) -> Answer[T]:
        if not self._left:
            self._ask_the_others()
        if not self._left:
            raise StopAsyncIteration
        while not self._arrived:
            self._more = anyio.Event()
            with anyio.move_on_at(self._patient_until if self._later else math.inf) as patience:
                await self._more.wait()
            if patience.cancelled_caught:
                self._ask_the_others()
        self._left -= 1
        answer = self._arrived.popleft()
        if answer.error is not None and self._later:  # here, so that who has enough and left asks nobody more
            self._start(self._later.popleft())
        return answer

    def _ask_the_others(self) -> None:
        while self._later:
            self._start(self._later.popleft())

    def _start(self, index: int) -> None:
        self._left += 1
        self._ask(self, index)


class Link:
    """Use as an async context manager."""

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._stack = AsyncExitStack()
        self._group: TaskGroup | None = None
        self._pools: dict[str, Connections] = {}
        self._urls: dict[str, httpx.URL] = {}
        self._failed_at: dict[int, float] = {}
        self._took_ms = deque[float](maxlen=_LATELY)

    async def __aenter__(self) -> Link:
        self._stack.push_async_callback(self._close_pools)  # after the group below has ended what still runs
        self._group = await self._stack.enter_async_context(anyio.create_task_group())
        self._stack.callback(self._group.cancel_scope.cancel)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # The caller's exception does not go through the task group, which would wrap it in a group.
        await self._stack.__aexit__(None, None, None)

    def ask(
        self, indexes: Iterable[int], call: Callable[[int], Awaitable[T]], *, first: int | None = None
    ) -> Answers[T]:
        """Iterate over the nodes' answers as they come, as far as wanted.

        `first`: how many are enough when all is well. So many are asked at once, chosen at random among those that
        did not fail lately; each of the others when one fails, all of them when those take long.
        """
        group = self._group
        if group is None:
            raise RuntimeError("use the client in an `async with` block")
        asked = list(indexes)
        if first is not None:
            random.shuffle(asked)  # spreads the load; nothing secret hangs on it
            lately = anyio.current_time() - SHY_S
            asked.sort(key=lambda i: self._failed_at.get(i, -math.inf) > lately)

        async def run(answers: Answers[T], index: int) -> None:
            answer = await answers.run(index, call)
            if answer.error is not None:
                self._failed_at[index] = anyio.current_time()
            else:
                self._took_ms.append(answer.ms)

        def start(answers: Answers[T], index: int) -> None:
            group.start_soon(run, answers, index)

        count = len(asked) if first is None else first
        return Answers(start, asked[:count], asked[count:], self.patience_s)

    @property
    def patience_s(self) -> float:
        """How long those that were asked first have before all others are asked."""
        took_ms = sorted(self._took_ms)
        return max(HEDGE_S, HEDGE_TIMES * took_ms[len(took_ms) // 2] / 1000) if took_ms else HEDGE_S

    async def rpc(self, url: str, body: bytes, kind: type[T]) -> T:
        """POST a JSON-RPC request. Raises AuthnetError."""
        _, raw = await self.fetch("POST", url, body)
        answer = _decode(raw, RpcAnswer)
        if answer.error is not None:
            raise _refusal(answer.error)
        return _decode(bytes(answer.result), kind)  # no result and no error: not of that shape either

    async def get(self, url: str, kind: type[T]) -> T:
        """GET a JSON value. Raises AuthnetError."""
        status, raw = await self.fetch("GET", url)
        if status != 200:
            raise _refusal(_decode(raw, GetRefusal).error)
        return _decode(raw, kind)

    async def fetch(self, method: str, url: str, body: bytes | None = None) -> tuple[int, bytes]:
        """(status, body) within the time and size limits. Raises NETWORK_DOWN, TIMEOUT, TOO_LARGE."""
        try:
            with anyio.fail_after(self._timeout_s):
                try:
                    return await self._send(method, url, body)
                except (httpcore.RemoteProtocolError, httpcore.ReadError, httpcore.WriteError):
                    # The node closed a kept connection just as we used it. All our calls can be repeated.
                    return await self._send(method, url, body)
        except (TimeoutError, httpcore.TimeoutException):
            raise AuthnetError(Code.TIMEOUT, f"no answer in {self._timeout_s:g} s") from None
        except (httpcore.NetworkError, httpcore.ProtocolError, httpx.InvalidURL, OSError):
            raise AuthnetError(Code.NETWORK_DOWN, "not reachable") from None

    async def _send(self, method: str, url: str, body: bytes | None) -> tuple[int, bytes]:
        request = request_of(method, self._url(url), _JSON if body else _HEADERS, body)
        return await self._pool(request.url.origin).send(request)

    async def _close_pools(self) -> None:
        for pool in self._pools.values():
            await pool.aclose()
        self._pools.clear()

    def _pool(self, origin: httpcore.Origin) -> Connections:
        """The connections to one node; beyond a committee's number of nodes, none are kept."""
        if self._group is None:
            raise RuntimeError("use the client in an `async with` block")
        name = str(origin)
        pool = self._pools.get(name)
        if pool is None:
            if len(self._pools) >= _URLS:
                return Connections(origin, is_kept=False)
            pool = self._pools[name] = Connections(origin)
        return pool

    def _url(self, text: str) -> httpx.URL:
        """Parsed once for the few that are asked again and again."""
        found = self._urls.get(text)
        if found is None:
            found = httpx.URL(text)
            if len(self._urls) < _URLS:
                self._urls[text] = found
        return found


async def _timed(index: int, call: Callable[[int], Awaitable[T]]) -> Answer[T]:
    started = time.perf_counter()
    try:
        value = await call(index)
    except AuthnetError as error:
        return Answer(index, _since(started), error=error)
    return Answer(index, _since(started), value)


def _since(started: float) -> float:
    return (time.perf_counter() - started) * 1000


def _decode(raw: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(raw, type=kind)
    except NOT_JSON:
        raise AuthnetError(Code.BAD_NODE_ANSWER, "the answer has another shape than agreed") from None


def _refusal(error: NodeError) -> AuthnetError:
    """A node's refusal with its code; its text is shortened, it may be anything."""
    facts = error.authnet if isinstance(error.authnet, dict) else {}
    name = facts.get("code") if facts else error.code
    code = Code.__members__.get(name, Code.BAD_NODE_ANSWER) if isinstance(name, str) else Code.BAD_NODE_ANSWER
    text = error.data if isinstance(error.data, str) else error.message
    return AuthnetError(code, text[:300] or "refused without a reason")
