"""api.sock: what node_api may ask. `commit` and `share` are the login service's."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

import msgspec

from authnet_core.errors import AuthnetError, Code
from authnet_runtime import metrics
from authnet_runtime.rpc import Connection, Handler
from p2p_dkg.doors.state import KeeperState
from p2p_dkg.ports import Assigned, AssignRequest

_Params = TypeVar("_Params")
Assign = Callable[[AssignRequest], Awaitable[Assigned]]


class AssignParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Parameters of `assign`."""

    verifier: str
    account_id: str
    curve: str = "secp256k1"
    purpose: str = "lookup"


def read_params(params: dict[str, Any], kind: type[_Params]) -> _Params:
    """Check a method's parameters. Raises AuthnetError(BAD_PARAMS)."""
    try:
        return msgspec.convert(params, kind)
    except msgspec.ValidationError as error:
        raise AuthnetError(Code.BAD_PARAMS, str(error)) from None


def unhex(name: str, text: str) -> bytes:
    """Bytes of a hex parameter. Raises AuthnetError(BAD_PARAMS) naming it."""
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise AuthnetError(Code.BAD_PARAMS, f"{name}: must be hex") from None


def _show(assigned: Assigned) -> dict[str, Any]:
    key = assigned.key
    return {
        "index": key.index,
        "Y": key.Y,
        "N": key.N,
        "created_ms": key.assigned_ms,
        "is_new": assigned.is_new,
    }


def api_methods(state: KeeperState, assign_key: Assign, login: Mapping[str, Handler]) -> dict[str, Handler]:
    """The table of api.sock."""

    async def status(_: dict[str, Any], __: Connection) -> Any:
        return state.show()

    async def assign(params: dict[str, Any], _: Connection) -> Any:
        asked = read_params(params, AssignParams)
        state.require_committee()
        account = unhex("account_id", asked.account_id)
        return _show(await assign_key(AssignRequest(asked.verifier, account, asked.curve, asked.purpose)))

    async def show_metrics(_: dict[str, Any], __: Connection) -> Any:
        return metrics.render()

    return {"status": status, "assign": assign, "metrics": show_metrics, **login}
