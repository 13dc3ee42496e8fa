"""The local CometBFT over its RPC unix socket: broadcast and read-only calls."""

from __future__ import annotations

import base64
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx

from authnet_core.errors import AuthnetError, Code


class CometRpc:
    """Use as an async context manager; works under asyncio and trio."""

    def __init__(self, socket: Path, timeout_s: float = 10.0) -> None:
        self._http = httpx.AsyncClient(
            transport=httpx.AsyncHTTPTransport(uds=str(socket), limits=httpx.Limits(max_connections=32)),
            base_url="http://comet",
            timeout=timeout_s,
        )

    async def __aenter__(self) -> CometRpc:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def broadcast(self, tx: bytes) -> tuple[int, str]:
        """broadcast_tx_sync: return (code, log) of CheckTx; a transaction already in the mempool is code 0.

        Raises AuthnetError(UNAVAILABLE) when CometBFT does not answer, BUSY when its mempool is full.
        """
        params = {"tx": base64.b64encode(tx).decode()}
        body = {"jsonrpc": "2.0", "id": 1, "method": "broadcast_tx_sync", "params": params}
        answer = await self._post(body)
        if (error := answer.get("error")) is None:
            result = answer["result"]
            return int(result["code"]), str(result.get("log", ""))
        text = f"{error.get('message', '')} {error.get('data', '')}"
        if "already exists in cache" in text:
            return 0, "in the mempool"
        if "mempool is full" in text:
            raise AuthnetError(Code.BUSY, "the mempool is full")
        raise AuthnetError(Code.UNAVAILABLE, "CometBFT refused the transaction")

    async def get(self, method: str, params: dict[str, str] | None = None) -> dict[str, Any]:
        """A read-only call such as status, commit or validators. Raises AuthnetError(UNAVAILABLE)."""
        answer = await self._post({"jsonrpc": "2.0", "id": 1, "method": method, "params": params or {}})
        if "error" in answer:
            error = answer["error"]
            raise AuthnetError(Code.BAD_PARAMS, f"CometBFT: {error.get('message', '')}: {error.get('data', '')}")
        result: dict[str, Any] = answer["result"]
        return result

    async def _post(self, body: dict[str, Any]) -> dict[str, Any]:
        try:
            response = await self._http.post("/", json=body)
            answer: dict[str, Any] = response.json()
        except (httpx.HTTPError, ValueError, OSError):
            raise AuthnetError(Code.UNAVAILABLE, "CometBFT does not answer") from None
        return answer
