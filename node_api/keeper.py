"""The keeper as the door sees it: four calls over api.sock, typed. Nothing here is secret: shares arrive sealed.

Each kind of call has its own connection, so that a row of slow assignments never stands before a login.
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import msgspec

from authnet_core.errors import AuthnetError, Code
from authnet_runtime.rpc_client import RpcClient

T = TypeVar("T")
COMMIT_S, SHARE_S, ASSIGN_S = 5.0, 20.0, 15.0


class ReceiptFields(msgspec.Struct, frozen=True):
    """A receipt as clients echo it, on its way to the keeper, which checks it."""

    data: str
    signature: str
    node_pub: str


class ShareCall(msgspec.Struct, frozen=True):
    """Everything the keeper needs to decide about one login."""

    verifier: str
    verifier_id: str
    id_token: str
    extension: str = ""
    temp_pub: str = ""
    receipts: tuple[ReceiptFields, ...] = ()
    nonce_enc: bool = False
    session_s: int = 86_400
    curve: str = "secp256k1"
    epoch: int = 0
    """The committee meant; 0 for the one that serves."""

    def __repr__(self) -> str:
        return "ShareCall(...)"  # it holds a token


class Committed(msgspec.Struct, frozen=True):
    """The keeper's receipt."""

    data: str
    signature: str
    node_pub: str
    node_index: int


class Sealed(msgspec.Struct, frozen=True):
    """An ECIES message in hex."""

    iv: str
    ephem: str
    mac: str
    ciphertext: str


class Released(msgspec.Struct, frozen=True):
    """What the keeper releases for one login."""

    index: int
    Y: str
    N: str
    share: Sealed
    session_token: Sealed
    session_token_sig: Sealed
    node_index: int
    service_pub: str
    is_new: bool
    created_ms: int
    upgraded: bool = False
    nonce: str | None = None
    nonce_sealed: Sealed | None = None
    epoch: int = 0


class AssignedKey(msgspec.Struct, frozen=True):
    """The key that an account has now."""

    index: int
    Y: str
    N: str
    created_ms: int
    is_new: bool = True


class Keeper:
    """Use as an async context manager. Calls raise the keeper's AuthnetError, UNAVAILABLE while it is down."""

    def __init__(self, api_sock: Path, ops_sock: Path) -> None:
        self._login, self._assign = RpcClient(api_sock), RpcClient(api_sock)
        self._ops = RpcClient(ops_sock)
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Keeper:
        for client in (self._login, self._assign, self._ops):
            await self._stack.enter_async_context(client)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.__aexit__(kind, error, trace)

    async def status(self) -> dict[str, Any]:
        answer: dict[str, Any] = await self._login.call("status", timeout=COMMIT_S)
        return answer

    async def commit(self, token_hash: bytes, temp_pub: bytes, verifier: str, epoch: int = 0) -> Committed:
        """`epoch`: the committee meant, 0 for the one that serves."""
        params = {"token_hash": token_hash.hex(), "temp_pub": temp_pub.hex(), "verifier": verifier, "epoch": epoch}
        return _typed(await self._login.call("commit", params, COMMIT_S), Committed)

    async def share(self, call: ShareCall) -> Released:
        params = msgspec.to_builtins(call)
        if call.receipts:
            params.pop("temp_pub")
        return _typed(await self._login.call("share", params, SHARE_S), Released)

    async def assign(self, verifier: str, account_id: bytes, curve: str, purpose: str) -> AssignedKey:
        params = {
            "verifier": verifier,
            "account_id": account_id.hex(),
            "curve": curve,
            "purpose": purpose,
        }
        return _typed(await self._assign.call("assign", params, ASSIGN_S), AssignedKey)

    async def metrics(self) -> str:
        """The Prometheus text of the keeper."""
        return str(await self._ops.call("metrics", timeout=COMMIT_S))


def _typed(answer: Any, kind: type[T]) -> T:
    try:
        return msgspec.convert(answer, kind)
    except msgspec.ValidationError:
        raise AuthnetError(Code.INTERNAL, "the keeper gave an answer of another shape") from None
