"""One blocking call to a process of a node: for commands and for the localnet daemon's threads."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

from authnet_core.errors import AuthnetError, Code

MAX_FRAME = 1 << 24


def call_once(path: Path, method: str, params: dict[str, Any] | None = None, timeout: float = 5.0) -> Any:
    """Connect to `path`, call, return the result. Raises AuthnetError (UNAVAILABLE, TIMEOUT or the refusal)."""
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params or {}}).encode()
    try:
        with socket.socket(socket.AF_UNIX) as stream:
            stream.settimeout(timeout)
            stream.connect(str(path))
            stream.sendall(len(body).to_bytes(4, "big") + body)
            return read_reply(stream)
    except TimeoutError:
        raise AuthnetError(Code.TIMEOUT, f"{path.name} gave no answer in {timeout:g} s") from None
    except (OSError, ValueError):
        raise AuthnetError(Code.UNAVAILABLE, f"{path.name} does not answer") from None


def read_reply(stream: socket.socket) -> Any:
    """The result of call 1; what comes before it is skipped. Raises the refusal, OSError or ValueError."""
    while (reply := _reply(_frame(stream))).get("id") != 1:
        continue
    if (error := reply.get("error")) is not None:
        said = error if isinstance(error, dict) else {}
        facts = said["data"] if isinstance(said.get("data"), dict) else {}
        code = Code.__members__.get(str(facts.get("code")), Code.INTERNAL)
        raise AuthnetError(code, str(facts.get("message") or said.get("message", "")))
    return reply.get("result")


def query_once(read_sock: Path, path: str, timeout: float = 5.0) -> Any:
    """The value at a query path of the chain's newest committed state, as plain JSON. Raises AuthnetError."""
    return call_once(read_sock, "query", {"path": path}, timeout)["value"]


def _reply(raw: bytes) -> dict[str, Any]:
    try:
        reply = json.loads(raw)
    except RecursionError:
        reply = None
    if not isinstance(reply, dict):
        raise ValueError("not a JSON-RPC answer")
    return reply


def _frame(stream: socket.socket) -> bytes:
    size = int.from_bytes(_exactly(stream, 4), "big")
    if size > MAX_FRAME:
        raise ValueError("frame too long")
    return _exactly(stream, size)


def _exactly(stream: socket.socket, size: int) -> bytes:
    parts = bytearray()
    while len(parts) < size:
        if not (part := stream.recv(min(size - len(parts), 1 << 16))):
            raise ConnectionError("closed")
        parts += part
    return bytes(parts)
