"""App hashes by height, from the block headers that a node's CometBFT has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx

from authnet_core.errors import AuthnetError, Code

_AT_ONCE = 20
"""CometBFT gives so many headers in one answer."""


def app_hashes(comet_sock: Path, first: int, last: int) -> list[dict[str, Any]]:
    """[{height, app_hash}] for heights first to last. Raises AuthnetError(UNAVAILABLE).

    A header at H + 1 carries the app hash of H, so the newest block's is not among them.
    """
    rows: list[dict[str, Any]] = []
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(comet_sock)), base_url="http://comet") as http:
        for low in range(first + 1, last + 2, _AT_ONCE):
            ask = {"minHeight": str(low), "maxHeight": str(min(low + _AT_ONCE - 1, last + 1))}
            try:
                answer = http.get("/blockchain", params=ask).json()
            except (httpx.HTTPError, ValueError):
                raise AuthnetError(Code.UNAVAILABLE, "this node's CometBFT does not answer") from None
            metas = answer.get("result", {}).get("block_metas", [])
            rows += [
                {"height": int(meta["header"]["height"]) - 1, "app_hash": meta["header"]["app_hash"].lower()}
                for meta in reversed(metas)
            ]
    return rows
