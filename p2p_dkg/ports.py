"""What the parts of the keeper may use of one another: the login service gets these and nothing else.

Signing is offered as objects that hold a key, never as key bytes, and no socket method reaches them with
bytes of the caller's choice.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from authnet_core.protocol.views import KeyView

if TYPE_CHECKING:
    from authnet_runtime.chain import BlockNote, ChainReader


class Signer(Protocol):
    """A secp256k1 key that stays where it is."""

    @property
    def pub(self) -> bytes:
        """33-byte SEC1 point."""

    def sign(self, digest: bytes) -> bytes:
        """r || s, low s, over a 32-byte digest."""

    def sign_recoverable(self, digest: bytes) -> bytes:
        """r || s || v with v of 27 or 28."""


class NodeIdentity(Signer, Protocol):
    """The node's identity key: receipts, transactions and the registry know the node by it."""


@dataclass(frozen=True, slots=True)
class KeyShare:
    """This node's part of one key. `nonce` is None once the key was upgraded."""

    x: int
    nonce: int | None

    def __repr__(self) -> str:
        return "KeyShare(...)"


@dataclass(frozen=True, slots=True)
class Receipt:
    """A signed receipt as it is asked for and answered over libp2p."""

    data: str
    signature: bytes
    node_pub: bytes
    epoch: int = 0
    """Committee it was given for; 0 where it came from another node, whose text is still unread."""


@dataclass(frozen=True, slots=True)
class AssignRequest:
    """One account that wants its key."""

    verifier: str
    account_id: bytes
    curve: str
    purpose: str


@dataclass(frozen=True, slots=True)
class Assigned:
    """The key an account has, and whether it is younger than the is_new window."""

    key: KeyView
    is_new: bool


ReceiptSource = Callable[[bytes, bytes], "Receipt | None"]
"""(token hash, T) -> the receipt this node has already given, or None. Makes none."""


@dataclass(frozen=True, slots=True)
class LoginPorts:
    """Everything the login service gets from the rest of the keeper."""

    chain: ChainReader
    identity: NodeIdentity
    service_key: Callable[[int], Signer | None]
    """Epoch -> this node's service key of that epoch, None if it has none."""
    share_of: Callable[[int, KeyView], Awaitable[KeyShare | None]]
    """(epoch, key) -> this node's share of a key as a member of that committee, None if it does not hold it."""
    service_open: Callable[[int], Callable[[object], bytes] | None]
    """Epoch -> a function that opens an `Ecies` sealed to the service key."""
    assign: Callable[[AssignRequest], Awaitable[Assigned]]
    """The key of an account, after the block that assigned it. Raises AuthnetError."""
    ask_receipts: Callable[[int, bytes, bytes], Awaitable[list[Receipt]]]
    """(epoch, token hash, T) -> receipts that other members of that committee say they gave. Unchecked."""
    answer_receipts: Callable[[ReceiptSource], None]
    """Register what answers other members' asks."""
    newest_block: Callable[[], BlockNote | None]
    """Newest block this keeper acted on; its age says whether the chain lags."""
    settled: Callable[[int], Awaitable[None]]
    """Block time -> returns when the block after it is here and remembered. Raises AuthnetError(CHAIN_STALE)."""
    folder: Path
    """keeper/login, mode 0700: the receipt log lives here."""
    continuous_since_ms: Callable[[], int]
    """Wall clock of this keystore's birth or last restore: an older receipt log can not be proven complete."""
    dev: bool
