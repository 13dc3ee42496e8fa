"""What the chain answers to queries, as typed views. abci_app produces them, everybody else reads them.

Bytes are lowercase hex without 0x, points 33-byte SEC1, times are int milliseconds, member and dealer
bitmaps have bit (j - 1) for party j.
"""

from __future__ import annotations

from typing import Any

import msgspec


class View(msgspec.Struct, frozen=True, kw_only=True):
    """Common shape: immutable, fields by name, unknown fields ignored."""


class StatusView(View, frozen=True, kw_only=True):
    chain_id: str
    network_id: str
    dev: bool
    height: int
    time_ms: int
    app_hash: str
    epoch: int
    observers: tuple[str, ...] = ()


class MemberView(View, frozen=True, kw_only=True):
    index: int
    operator: str
    identity: str
    consensus: str
    peer_id: str
    p2p_addr: str
    comet_addr: str
    endpoint: str
    service_key: str = ""
    """Epoch service key, empty until the member's first ENCKEY."""


class EpochView(View, frozen=True, kw_only=True):
    epoch: int
    n: int
    k: int
    t: int
    status: str
    members: tuple[MemberView, ...]
    committee_hash: str
    serving_from_ms: int = 0
    """A_e of epochs.md; 0 for the first epoch."""


class AudienceView(View, frozen=True, kw_only=True):
    aud: str
    mode: str
    """`bound` or `two-round`."""


class VerifierView(View, frozen=True, kw_only=True):
    name: str
    version: int
    issuer: str
    jwks_url: str
    audiences: tuple[AudienceView, ...]
    id_claim: str
    case_rule: str
    algorithms: tuple[str, ...]
    iat_limit_s: int
    session_claim: str = "nonce"
    owner: str = ""
    removed: bool = False


class DealView(View, frozen=True, kw_only=True):
    e: str
    pok: str
    root: str
    list_hash: str
    nonce_hash: str
    u: tuple[str, ...]
    height: int


class ComplaintView(View, frozen=True, kw_only=True):
    """One judged COMPLAIN."""

    dealer: int
    complainer: int
    upheld: bool
    """The dealer was convicted; otherwise the complainer was."""
    height: int


class FallbackView(View, frozen=True, kw_only=True):
    """The exponent fallback for one dealer of Q (dkg.md section 4)."""

    lists: dict[int, str]
    """member -> hash of its P list."""
    seed: str = ""
    """What gamma' is expanded from; empty until the cut-off. Once set it never changes."""
    seed_height: int = 0
    scalars: dict[int, str] = {}
    """member -> w_j."""


class BlameView(View, frozen=True, kw_only=True):
    """One conviction. `evidence` is left out of lists; it verifies without the chain (authnet_core blame evidence)."""

    number: int
    epoch: int
    convict: int
    accuser: int
    sid: str
    reason: str
    height: int
    evidence: dict[str, Any] | None = None


class SessionView(View, frozen=True, kw_only=True):
    """The whole record of one key generation session."""

    sid: str
    epoch: int
    curve: str
    counter: int
    rows: int
    """B; a session makes B * m keys."""
    phase: str
    """deal, certified (Q fixed), opened, final, abandoned."""
    h0: int
    t0_ms: int
    """0 until the block after START."""
    eks: tuple[str, ...]
    """Encryption key of party j at j - 1, empty if absent."""
    deals: dict[int, DealView]
    acks: dict[int, int]
    """member -> bitmap of dealers it acknowledged."""
    q: tuple[int, ...]
    q_height: int
    opened: dict[int, int]
    """member -> bitmap of dealers whose list it holds."""
    finals: dict[int, str]
    """member -> root it signed."""
    root: str = ""
    final_height: int = 0
    final_ms: int = 0
    first_index: int = 0
    count: int = 0
    chunks: tuple[int, ...] = ()
    """KEYS chunks that are on chain."""
    holders: tuple[int, ...] = ()
    height: int = 0
    """Height of the state this view was read from."""
    left_out: tuple[int, ...] = ()
    """Who may not deal in this session: convicts of the epoch and suspects."""
    complaints: tuple[ComplaintView, ...] = ()
    fallbacks: dict[int, FallbackView] = {}
    """dealer -> its fallback, from its deadline on."""


class SessionsView(View, frozen=True, kw_only=True):
    open: tuple[SessionView, ...]
    recent: tuple[SessionView, ...] = ()


class RetainedView(View, frozen=True, kw_only=True):
    sid: str
    epoch: int
    counter: int
    holders: tuple[int, ...]
    final_ms: int


class EncKeyView(View, frozen=True, kw_only=True):
    """Counters for which a member has an encryption key waiting: [first, last], empty if last < first."""

    index: int
    first: int
    last: int
    service_key: str = ""


class EncKeysView(View, frozen=True, kw_only=True):
    next_counter: int
    """The counter of the next session to start."""
    members: tuple[EncKeyView, ...]


class KeyView(View, frozen=True, kw_only=True):
    index: int
    curve: str
    Y: str
    N: str
    sid: str
    position: int
    """Position l * B + b in its session."""
    epoch: int
    free: bool
    account_id: str = ""
    assigned_ms: int = 0
    upgraded: bool = False
    holders: tuple[int, ...] = ()


class AccountView(View, frozen=True, kw_only=True):
    account_id: str
    keys: tuple[KeyView, ...]


class PoolView(View, frozen=True, kw_only=True):
    curve: str
    free: int
    assigned: int
    short: int
    """Free keys that some member does not hold."""
    under_way: int
    low: int
    high: int
    reserved: int
    """Free keys kept for logins."""


class ParamsView(View, frozen=True, kw_only=True):
    values: dict[str, int]
