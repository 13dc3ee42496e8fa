"""The SDK without async: one background event loop, the same checks.

with SyncClient(Network.from_file("network.json")) as client:
    print(client.resolve("google", "bob@example.com").address)
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING

from anyio.from_thread import start_blocking_portal
from anyio.to_thread import run_sync

from authnet_client.client import TIMEOUT_S, Client
from authnet_client.network import Network
from authnet_client.outcomes import LoginOutcome, Resolution
from authnet_client.session import TokenSource

if TYPE_CHECKING:
    from anyio.from_thread import BlockingPortal


class SyncClient:
    """Use as a context manager, from any thread."""

    def __init__(self, network: Network, *, timeout_s: float = TIMEOUT_S) -> None:
        self._client = Client(network, timeout_s=timeout_s)
        self._stack = ExitStack()
        self._portal: BlockingPortal | None = None

    def __enter__(self) -> SyncClient:
        self._portal = self._stack.enter_context(start_blocking_portal())
        self._stack.enter_context(self._portal.wrap_async_context_manager(self._client))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def resolve(self, verifier: str, verifier_id: str, *, assign: bool = True) -> Resolution:
        """As `Client.resolve`."""
        return self._running().call(partial(self._client.resolve, verifier, verifier_id, assign=assign))

    def login(
        self,
        verifier: str,
        verifier_id: str,
        token: str | Callable[[str | None], str],
        *,
        rounds: int | None = None,
    ) -> LoginOutcome:
        """As `Client.login`; a token source is an ordinary function and runs in a thread."""
        source = token if isinstance(token, str) else _in_thread(token)
        return self._running().call(partial(self._client.login, verifier, verifier_id, source, rounds=rounds))

    def _running(self) -> BlockingPortal:
        if self._portal is None:
            raise RuntimeError("use the client in a `with` block")
        return self._portal


def _in_thread(source: Callable[[str | None], str]) -> TokenSource:
    async def fetch(nonce: str | None) -> str:
        return await run_sync(source, nonce)

    return fetch
