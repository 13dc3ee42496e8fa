"""One HTTPS GET of a provider's key set: bounded in time and size, no redirects, no proxies."""

from __future__ import annotations

from types import TracebackType
from urllib.parse import urlsplit

import httpx
import trio

from authnet_core.errors import AuthnetError, Code

MAX_BYTES = 262_144
TIMEOUT_S = 5.0
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


def check_url(url: str, *, dev: bool) -> None:
    """Only https; plain http for a loopback host in a network whose genesis says dev. Raises AuthnetError."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise AuthnetError(Code.MALFORMED, "the JWKS URL is no URL") from None
    plain = dev and parts.scheme == "http" and host in _LOOPBACK
    if not host or parts.username is not None or not (parts.scheme == "https" or plain):
        raise AuthnetError(Code.MALFORMED, "the JWKS URL must be https")


class HttpFetch:
    """The keeper's one HTTP client. Use as an async context manager, then call with a URL."""

    def __init__(self, *, dev: bool) -> None:
        self._dev = dev
        self._client = httpx.AsyncClient(
            follow_redirects=False,
            trust_env=False,
            timeout=TIMEOUT_S,
            headers={"accept": "application/json", "accept-encoding": "identity"},
        )

    async def __aenter__(self) -> HttpFetch:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.aclose()

    async def __call__(self, url: str) -> bytes:
        """The body of a 200 answer. Raises AuthnetError(UNAVAILABLE or MALFORMED)."""
        check_url(url, dev=self._dev)
        try:
            with trio.fail_after(TIMEOUT_S):
                return await self._read(url)
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, trio.TooSlowError, OSError) as error:
            raise AuthnetError(Code.UNAVAILABLE, f"the provider does not answer: {type(error).__name__}") from None

    async def _read(self, url: str) -> bytes:
        body = bytearray()
        async with self._client.stream("GET", url) as answer:
            if answer.status_code != 200 or answer.headers.get("content-encoding", "identity") != "identity":
                raise AuthnetError(Code.UNAVAILABLE, f"the provider answers {answer.status_code}")
            async for chunk in answer.aiter_raw():
                body += chunk
                if len(body) > MAX_BYTES:
                    raise AuthnetError(Code.TOO_LARGE, f"the provider's key set has more than {MAX_BYTES} bytes")
        return bytes(body)
