"""`sign_export` on ops.sock: this node's word that a state is its chain's, before a new chain begins with it."""

from __future__ import annotations

from typing import Any, Protocol

import msgspec

from authnet_core.errors import AuthnetError, Code
from authnet_core.protocol.exports import statement
from authnet_runtime.rpc import Connection
from p2p_dkg.doors.api import read_params, unhex
from p2p_dkg.ports import Signer


class Exports(Protocol):
    """The part of ChainReader that is used here."""

    async def export(self, height: int) -> dict[str, Any]:
        """The header of the export of `height`, computed by this node's own abci_app."""


class SignExportParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Parameters of `sign_export`; hashes in hex."""

    height: int
    app_hash: str
    export_hash: str


class ExportSigner:
    """Signs what this node's own chain says, and nothing that a caller makes up."""

    def __init__(self, chain: Exports, identity: Signer) -> None:
        self._chain, self._identity = chain, identity

    async def sign(self, params: dict[str, Any], _: Connection) -> Any:
        """The handler. Raises EXPORT_INVALID, HEIGHT_UNAVAILABLE, UNAVAILABLE, BAD_PARAMS."""
        asked = read_params(params, SignExportParams)
        told = (unhex("app_hash", asked.app_hash), unhex("export_hash", asked.export_hash))
        own = await self._chain.export(asked.height)
        known = (bytes.fromhex(own["app_hash"]), bytes.fromhex(own["export_hash"]))
        if own["height"] != asked.height or told != known:
            raise AuthnetError(Code.EXPORT_INVALID, f"this node's state at height {asked.height} exports otherwise")
        digest = statement(own["chain_id"], own["height"], *told)
        return {"identity_pub": self._identity.pub.hex(), "signature": self._identity.sign(digest).hex()}
