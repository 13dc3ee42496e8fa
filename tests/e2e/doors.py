"""The two doors a thief can stand at: the public JSON-RPC of a node, and its keeper's api.sock behind it.

Requests are built here by hand, so that a test can say what no honest client would. Answers come back in one form:
a refusal's code, or what was released.
"""

from __future__ import annotations

import base64
import secrets
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar

import httpx

from authnet_core.crypto import ecdsa, ecies, secp256k1, shamir
from authnet_core.crypto.hashing import keccak256
from authnet_core.errors import AuthnetError
from authnet_core.protocol.receipts import Receipt, parse
from authnet_core.protocol.session_binding import session_nonce
from tests.e2e.net import Net, socket_call

V = TypeVar("V")
UNREACHABLE = "UNREACHABLE"
"""Not a code of the network: nobody answered at that door."""


@dataclass(frozen=True)
class SessionKey:
    """A client's T."""

    secret: bytes
    pub: bytes

    @staticmethod
    def fresh() -> SessionKey:
        secret = (1 + secrets.randbelow(secp256k1.Q - 1)).to_bytes(32, "big")
        return SessionKey(secret, secp256k1.pub(secret))

    @property
    def xy(self) -> bytes:
        return secp256k1.decompress(self.pub)


@dataclass(frozen=True)
class Paper:
    """A receipt in a client's hand."""

    text: str
    signature: str
    node_pub: str
    node_index: int


@dataclass(frozen=True)
class Ask:
    """One request for a share. With receipts it is the second round; without, T stands in the request."""

    verifier: str
    user: str
    token: str
    papers: tuple[Paper, ...] = ()
    key: SessionKey | None = None
    extension: str = ""


@dataclass(frozen=True)
class Released:
    """A share as it left a node, still sealed."""

    node: int
    y: bytes
    sealed: ecies.Ecies

    def open(self, key: SessionKey) -> int:
        """Raises ValueError if it is not sealed to `key`."""
        return int.from_bytes(ecies.decrypt(key.secret, self.sealed), "big")


@dataclass(frozen=True)
class Answer:
    """`code` is empty when the node did what it was asked."""

    code: str = ""
    text: str = ""
    paper: Paper | None = None
    released: Released | None = None


class Door(Protocol):
    name: str
    net: Net

    def commit(self, node: int, token: str, key: SessionKey, verifier: str) -> Answer: ...

    def share(self, node: int, ask: Ask) -> Answer: ...


def token_hash(token: str) -> bytes:
    return keccak256(token.encode())


class PublicDoor:
    """CommitmentRequest and GetShareOrKeyAssign, as torus.js sends them."""

    name = "public"

    def __init__(self, net: Net) -> None:
        self.net = net
        self._http = httpx.Client(timeout=30, limits=httpx.Limits(max_connections=64), verify=False)

    def call(self, node: int, method: str, params: dict[str, Any]) -> tuple[Answer, dict[str, Any]]:
        body = {"jsonrpc": "2.0", "method": method, "id": 10, "params": params}
        try:
            reply = self._http.post(self.net.api_url(node), json=body)
        except httpx.HTTPError as error:
            return Answer(UNREACHABLE, type(error).__name__), {}
        assert reply.status_code == 200, f"{method}: HTTP {reply.status_code} {reply.text[:200]}"
        answer = reply.json()
        if "error" in answer:
            error = answer["error"]
            assert isinstance(error["data"], str), "torus.js needs a text here"
            return Answer(error["authnet"]["code"], error["data"]), {}
        return Answer(), answer["result"]

    def commit(self, node: int, token: str, key: SessionKey, verifier: str) -> Answer:
        params = {
            "messageprefix": "mug00",
            "keytype": "secp256k1",
            "tokencommitment": token_hash(token).hex(),
            "temppubx": key.xy[:32].hex(),
            "temppuby": key.xy[32:].hex(),
            "verifieridentifier": verifier,
        }
        answer, found = self.call(node, "CommitmentRequest", params)
        if answer.code:
            return answer
        pub = secp256k1.compress(bytes.fromhex(found["nodepubx"].zfill(64) + found["nodepuby"].zfill(64)))
        return Answer(paper=Paper(found["data"], found["signature"], pub.hex(), int(found["nodeindex"])))

    def share(self, node: int, ask: Ask) -> Answer:
        xy = ask.key.xy.hex() if ask.key else ""
        item = {
            "verifier_id": ask.user,
            "idtoken": ask.token,
            "key_type": "secp256k1",
            "nodesignatures": [_wire(paper) for paper in ask.papers],
            "verifieridentifier": ask.verifier,
            "session_token_exp_second": 3600,
        }
        if ask.extension:
            item["extended_verifier_id"] = ask.extension
        params = {
            "encrypted": "yes",
            "use_temp": True,
            "key_type": "secp256k1",
            "distributed_metadata": True,
            "verifieridentifier": ask.verifier,
            "temppubx": xy[:64],
            "temppuby": xy[64:],
            "client_time": str(int(time.time())),
            "one_key_flow": True,
            "item": [item],
        }
        answer, found = self.call(node, "GetShareOrKeyAssign", params)
        if answer.code:
            return answer
        key = found["keys"][0]
        meta = key["share_metadata"]
        sealed = ecies.Ecies(
            bytes.fromhex(meta["iv"]),
            bytes.fromhex(meta["ephemPublicKey"]),
            bytes.fromhex(meta["mac"]),
            bytes.fromhex(base64.b64decode(key["share"]).decode()),
        )
        xy = key["public_key"]["X"].zfill(64) + key["public_key"]["Y"].zfill(64)
        return Answer(released=Released(int(key["node_index"]), secp256k1.compress(bytes.fromhex(xy)), sealed))


def _wire(paper: Paper) -> dict[str, str]:
    try:
        xy = secp256k1.decompress(bytes.fromhex(paper.node_pub)).hex()
    except ValueError:
        xy = "00" * 64
    return {
        "data": paper.text,
        "signature": paper.signature,
        "nodepubx": xy[:64],
        "nodepuby": xy[64:],
        "nodeindex": str(paper.node_index),
    }


class SocketDoor:
    """`commit` and `share` of the keeper itself: what somebody who broke into node_api can say."""

    name = "api.sock"

    def __init__(self, net: Net) -> None:
        self.net = net

    def _call(self, node: int, method: str, params: dict[str, Any]) -> tuple[Answer, dict[str, Any]]:
        path = self.net.node(node).path / "run" / "api.sock"
        try:
            return Answer(), socket_call(path, method, params, 30)
        except AuthnetError as refusal:
            return Answer(refusal.code.value, refusal.message), {}

    def commit(self, node: int, token: str, key: SessionKey, verifier: str) -> Answer:
        params = {"token_hash": token_hash(token).hex(), "temp_pub": key.pub.hex(), "verifier": verifier}
        answer, found = self._call(node, "commit", params)
        if answer.code:
            return answer
        return Answer(paper=Paper(found["data"], found["signature"], found["node_pub"], found["node_index"]))

    def share(self, node: int, ask: Ask) -> Answer:
        params: dict[str, Any] = {
            "verifier": ask.verifier,
            "verifier_id": ask.user,
            "extension": ask.extension,
            "id_token": ask.token,
            "receipts": [{"data": p.text, "signature": p.signature, "node_pub": p.node_pub} for p in ask.papers],
            "nonce_enc": True,
            "session_s": 3600,
            "curve": "secp256k1",
        }
        if not ask.papers and ask.key:
            params["temp_pub"] = ask.key.pub.hex()
        answer, found = self._call(node, "share", params)
        if answer.code:
            return answer
        sealed = ecies.Ecies(*(bytes.fromhex(found["share"][part]) for part in ("iv", "ephem", "mac", "ciphertext")))
        return Answer(released=Released(found["node_index"], bytes.fromhex(found["Y"]), sealed))


DOORS: dict[str, Callable[[Net], Door]] = {"public": PublicDoor, "api.sock": SocketDoor}


# -- what clients do with a door


def everywhere(nodes: Iterable[int], act: Callable[[int], V]) -> dict[int, V]:
    """Do it at all these nodes at once."""
    asked = list(nodes)
    with ThreadPoolExecutor(max(1, len(asked))) as pool:
        return dict(zip(asked, pool.map(act, asked), strict=True))


def commit_at(door: Door, nodes: Iterable[int], token: str, key: SessionKey, verifier: str) -> tuple[Paper, ...]:
    """Receipts of all these nodes; fails if one of them refuses."""
    answers = everywhere(nodes, lambda j: door.commit(j, token, key, verifier))
    assert not any(a.code for a in answers.values()), {j: (a.code, a.text) for j, a in answers.items()}
    return tuple(a.paper for a in answers.values() if a.paper)


def share_codes(door: Door, ask: Ask, nodes: Iterable[int] = ()) -> set[str]:
    """The codes with which the nodes answer; "" is a share released."""
    return {a.code for a in everywhere(nodes or door.net.indexes, lambda j: door.share(j, ask)).values()}


def open_key(door: Door, ask: Ask, key: SessionKey, nodes: Iterable[int] = ()) -> int:
    """Ask for shares and rebuild the private key. Fails unless k good shares came."""
    answers = everywhere(nodes or door.net.indexes, lambda j: door.share(j, ask))
    released = [a.released for a in answers.values() if a.released]
    refusals = {j: (a.code, a.text) for j, a in answers.items() if a.code}
    assert len(released) >= door.net.k, f"only {len(released)} shares: {refusals}"
    assert len({r.y for r in released}) == 1, "the nodes disagree on the key"
    opened = shamir.find_subset({r.node: r.open(key) for r in released}, door.net.k, released[0].y)
    assert opened is not None, "the shares do not open the key"
    return opened.secret


def two_rounds(door: Door, user: str, verifier: str = "mock-google", nodes: Iterable[int] = ()) -> int:
    """An honest two-round login: n-t receipts are enough."""
    key, token, net = SessionKey.fresh(), door.net.token(verifier, user), door.net
    answers = everywhere(nodes or net.indexes, lambda j: door.commit(j, token, key, verifier))
    papers = tuple(a.paper for a in answers.values() if a.paper)
    assert len(papers) >= net.n - net.t, {j: (a.code, a.text) for j, a in answers.items()}
    return open_key(door, Ask(verifier, user, token, papers), key, nodes)


def one_round(door: Door, user: str, verifier: str = "mock-google", nodes: Iterable[int] = ()) -> int:
    """An honest one-round login."""
    key = SessionKey.fresh()
    token = bound_token(door.net, user, key, verifier)
    return open_key(door, Ask(verifier, user, token, key=key), key, nodes)


def bound_token(net: Net, user: str, key: SessionKey, verifier: str = "mock-google", **wish: Any) -> str:
    """A token whose nonce is bound to `key`."""
    return net.token(verifier, user, nonce=session_nonce(net.first.network_id, verifier, key.pub), **wish)


def forge(paper: Paper, identity: bytes, **changes: Any) -> Paper:
    """The receipt with other contents, signed with a node's real identity key: what k-1 bad nodes could write."""
    receipt: Receipt = replace(parse(paper.text), **changes)
    signature = ecdsa.sign_recoverable(identity, receipt.digest).hex()
    return Paper(receipt.text, signature, secp256k1.pub(identity).hex(), receipt.node_index)
