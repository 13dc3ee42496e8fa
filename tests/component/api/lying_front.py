"""A lying HTTP front before a real node_api: it asks the node, and answers something else. For tests only.

Fronts that lie alike are what k-1 colluding nodes can say to a client: consistent among themselves, and well formed.
"""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx

from authnet_core.crypto import ecies
from authnet_core.crypto.address import eip55_address
from authnet_core.crypto.secp256k1 import Q, add, compress, decompress, pub, scalar_bytes
from authnet_core.crypto.shamir import evaluate

FALSE_KEY, FALSE_NONCE = 31_337, 777
"""The key that the liars would like the client to believe in."""


@dataclass(frozen=True)
class Asked:
    """One request at a front, and the node's own answer to it."""

    index: int
    path: str
    body: dict[str, Any]
    status: int
    answer: dict[str, Any]

    @property
    def method(self) -> str:
        return str(self.body.get("method", ""))

    @property
    def is_resolve(self) -> bool:
        return self.path.startswith("/v1/resolve/") and self.status == 200

    @property
    def is_share(self) -> bool:
        return self.method == "GetShareOrKeyAssign" and "result" in self.answer


Lie = Callable[[Asked], tuple[int, Any]]
"""-> (status, what is answered). Bytes are sent as they are."""


def truth(asked: Asked) -> tuple[int, Any]:
    return asked.status, asked.answer


@dataclass
class LyingFront:
    """The front of node `index`."""

    index: int
    target: str
    lie: Lie = truth
    lied: int = 0
    url: str = ""
    _http: httpx.Client = field(default_factory=lambda: httpx.Client(trust_env=False, timeout=30, verify=False))

    def answer(self, verb: str, path: str, raw: bytes) -> tuple[int, bytes]:
        headers = {"content-type": "application/json"} if raw else {}
        reply = self._http.request(verb, self.target + path, content=raw or None, headers=headers)
        asked = Asked(self.index, path, json.loads(raw) if raw else {}, reply.status_code, reply.json())
        status, said = self.lie(asked)
        self.lied += (status, said) != truth(asked)
        return status, said if isinstance(said, bytes) else json.dumps(said).encode()


class _Server(ThreadingHTTPServer):
    def handle_error(self, *_: Any) -> None:
        """A client that had enough answers hangs up."""


@contextmanager
def lying_fronts(endpoints: dict[int, str]) -> Iterator[dict[int, LyingFront]]:
    """A front for each of these nodes, honest until its `lie` is set."""
    fronts = {index: LyingFront(index, endpoint.rstrip("/")) for index, endpoint in endpoints.items()}
    servers = []
    for front in fronts.values():
        server = _Server(("127.0.0.1", 0), _handler(front))
        server.daemon_threads = True
        front.url = f"http://127.0.0.1:{server.server_address[1]}"
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        servers.append(server)
    try:
        yield fronts
    finally:
        for server in servers:
            server.shutdown()
            server.server_close()


def _handler(front: LyingFront) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            raw = self.rfile.read(int(self.headers.get("content-length", "0")))
            status, said = front.answer(self.command, self.path, raw)
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        do_GET = do_POST = _serve  # noqa: N815 (the library's names)

        def log_message(self, *_: Any) -> None:
            return

    return Handler


# -- lies about an address


def _with(asked: Asked, **changes: str) -> tuple[int, Any]:
    """The node's answer with other points, and all that follows from them put right."""
    said = asked.answer | changes
    final = add(bytes.fromhex(said["Y"]), bytes.fromhex(said["N"]))
    assert final is not None
    return asked.status, said | {"final_pub": final.hex(), "address": eip55_address(final)}


def other_y(asked: Asked) -> tuple[int, Any]:
    return _with(asked, Y=pub(FALSE_KEY).hex()) if asked.is_resolve else truth(asked)


def other_n(asked: Asked) -> tuple[int, Any]:
    return _with(asked, N=pub(FALSE_NONCE).hex()) if asked.is_resolve else truth(asked)


def thiefs_address(asked: Asked) -> tuple[int, Any]:
    """The right points and another address."""
    thief = eip55_address(pub(FALSE_KEY))
    return (asked.status, asked.answer | {"address": thief}) if asked.is_resolve else truth(asked)


def absent(asked: Asked) -> tuple[int, Any]:
    """A stale view: the account has no key yet."""
    refusal = {"error": {"code": "ACCOUNT_NOT_FOUND", "message": "the account has no key"}}
    return (404, refusal) if asked.is_resolve else truth(asked)


def another_node(asked: Asked) -> tuple[int, Any]:
    """A vote in an honest node's name."""
    if not asked.is_resolve:
        return truth(asked)
    status, said = _with(asked, Y=pub(FALSE_KEY).hex())
    return status, said | {"node_index": asked.index % 5 + 1}


def garbage(asked: Asked) -> tuple[int, Any]:
    return 200, b'{"Y": ' + b"\xff" * 40


# -- lies in a login


def session_key(asked: Asked) -> bytes:
    """T, as a node reads it: from the request, or from the receipts."""
    params = asked.body["params"]
    if params["temppubx"]:
        return compress(bytes.fromhex(params["temppubx"] + params["temppuby"]))
    _, _, x, y, *_ = params["item"][0]["nodesignatures"][0]["data"].split("\x1c")
    return compress(bytes.fromhex(x.zfill(64) + y.zfill(64)))


def sealed(point: bytes, plaintext: bytes) -> tuple[dict[str, str], str]:
    box = ecies.encrypt(point, plaintext)
    meta = {"iv": box.iv.hex(), "ephemPublicKey": box.ephem_public_key.hex(), "mac": box.mac.hex()}
    return meta, box.ciphertext.hex()


def _with_share(asked: Asked, share: int, public: bytes | None = None) -> tuple[int, Any]:
    meta, ciphertext = sealed(session_key(asked), scalar_bytes(share % Q))
    key = asked.answer["result"]["keys"][0]
    key = key | {"share": base64.b64encode(ciphertext.encode()).decode(), "share_metadata": meta}
    if public is not None:
        xy = decompress(public).hex()
        key |= {"public_key": {"X": xy[:64], "Y": xy[64:]}}
    return asked.status, asked.answer | {"result": asked.answer["result"] | {"keys": [key]}}


def wrong_share(asked: Asked) -> tuple[int, Any]:
    return _with_share(asked, 5_000 + asked.index) if asked.is_share else truth(asked)


def false_key(asked: Asked) -> tuple[int, Any]:
    """Good shares, among the liars, of a key they all know."""
    polynomial = [FALSE_KEY, 11, 12]  # of a degree that any k fit
    share = evaluate(polynomial, asked.index) if asked.is_share else 0
    return _with_share(asked, share, pub(FALSE_KEY)) if asked.is_share else truth(asked)


def wrong_nonce(asked: Asked) -> tuple[int, Any]:
    """N of a nonce that the liars know, and that nonce with it."""
    if not asked.is_share:
        return truth(asked)
    key = asked.answer["result"]["keys"][0]
    meta, ciphertext = sealed(session_key(asked), scalar_bytes(FALSE_NONCE))
    xy = decompress(pub(FALSE_NONCE)).hex()
    nonce = key["nonce_data"] | {
        "pubNonce": {"x": xy[:64], "y": xy[64:]},
        "nonce_enc": meta | {"ciphertext": ciphertext},
    }
    return asked.status, asked.answer | {"result": asked.answer["result"] | {"keys": [key | {"nonce_data": nonce}]}}


def share_of_nobody(asked: Asked) -> tuple[int, Any]:
    """The answer of a node that says the account is another one's."""
    refusal = {"code": -32000, "message": "refused", "data": "no", "authnet": {"code": "SHARE_MISSING"}}
    return (200, {"jsonrpc": "2.0", "id": 1, "error": refusal}) if asked.is_share else truth(asked)


def junk_receipt(asked: Asked) -> tuple[int, Any]:
    """A receipt with another node's index: a signature that proves something else."""
    if asked.method != "CommitmentRequest" or "result" not in asked.answer:
        return truth(asked)
    *head, _ = asked.answer["result"]["data"].split("\x1c")
    said = asked.answer["result"] | {"data": "\x1c".join([*head, str(asked.index % 5 + 1)])}
    return asked.status, asked.answer | {"result": said}
