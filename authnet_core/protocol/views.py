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
    """next (announced, not in charge), serving (current on chain), retired, aborted."""
    members: tuple[MemberView, ...]
    committee_hash: str
    serving_from_ms: int = 0
    """A_e of epochs.md; 0 for the first epoch."""
    serving_until_ms: int = 0
    """A_{e+1}; 0 while no other epoch has become current."""
    grace_ends_ms: int = 0
    """When a former committee erases its shares; 0 while it is current."""
    erased: tuple[int, ...] = ()
    """Members that said they erased this epoch's shares."""
    previous: int = 0
    """The epoch it takes over from; 0 for the first."""
    called_off: bool = False
    """The registry called it off when it was in charge already; it stays in charge."""


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
    """In the epoch in charge; `sid` and `epoch` as of the assignment, or of the epoch in charge while unassigned."""
    mask: bool = False
    """Kept for a resharing or burnt in one: nobody will be assigned it."""


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
    masks: int = 0
    """Keys that are no one's: kept for resharings, or burnt in one."""


class ParamsView(View, frozen=True, kw_only=True):
    values: dict[str, int]


class ReadyNodeView(View, frozen=True, kw_only=True):
    """One incoming member's READY_NODE."""

    index: int
    height: int
    app_hash: str
    service_key: str


class HandoverView(View, frozen=True, kw_only=True):
    """The hand-over under way (`/handover`), absent when there is none."""

    phase: str
    """announced, joining, resharing, switching."""
    record_hash: str
    committee: EpochView
    """The next committee."""
    from_epoch: int
    announced_height: int
    announced_ms: int
    notice_ends_ms: int
    phase_height: int
    phase_ms: int
    """Block that opened the phase; its time is 0 until the block after it."""
    deadline_ms: int = 0
    """When this phase is given up; 0 while it has no end."""
    rejected: tuple[int, ...] = ()
    """Present members that rejected it."""
    ready_nodes: tuple[ReadyNodeView, ...] = ()
    batches: int = 0
    batches_done: int = 0
    keys: int = 0
    keys_done: int = 0
    frozen: bool = False
    """No START: the last keys are moved."""


class HandoverEndView(View, frozen=True, kw_only=True):
    """How the last hand-overs ended (`/handovers`), newest first."""

    epoch: int
    outcome: str
    """switched, rejected, aborted, timed-out."""
    height: int
    time_ms: int
    reason: str = ""


class BatchView(View, frozen=True, kw_only=True):
    """Keys [first_index, first_index + count) as one committee holds them (`/batch/{epoch}/{index}`)."""

    id: str
    """sid of the session that made them in this epoch, or rid of the resharing that brought them."""
    epoch: int
    first_index: int
    count: int
    root: str
    """Merkle root over (Y, N), the same in every epoch."""
    holders: tuple[int, ...]
    source: str = ""
    """The batch's id in the epoch before; empty for a session of this epoch."""


class ReshareDealView(View, frozen=True, kw_only=True):
    e: str
    pok: str
    root: str
    height: int


class ReshareView(View, frozen=True, kw_only=True):
    """The whole record of one resharing (`/reshare/{rid}`). Party indexes: dealers old, receivers new."""

    rid: str
    from_epoch: int
    to_epoch: int
    curve: str
    first_index: int
    count: int
    root: str
    """Merkle root over (Y, N) of the keys."""
    source: str
    """The batch's id in the old epoch."""
    mask_index: int
    mask_source: str
    """The old batch that holds the mask key."""
    attempt: int
    counter: int
    """Of the new members' encryption keys."""
    eks: tuple[str, ...]
    phase: str
    """deal, test, ack, ready, final, failed."""
    h0: int
    t0_ms: int
    deals: dict[int, ReshareDealView]
    dealers: tuple[int, ...] = ()
    """D; fixed when `phase` leaves deal."""
    gamma_seed: str = ""
    tests: dict[int, tuple[str, ...]] = {}
    acks: dict[int, int] = {}
    sums: dict[int, str] = {}
    complaints: tuple[ComplaintView, ...] = ()
    candidates: tuple[int, ...] = ()
    q: tuple[int, ...] = ()
    """Q': k old dealers; fixed when `phase` becomes ready."""
    blamed: tuple[int, ...] = ()
    """Dealers whose constants are off the polynomial of Q' and of k + t that agree."""
    readies: dict[int, str] = {}
    hash: str = ""
    holders: tuple[int, ...] = ()
    final_height: int = 0
    final_ms: int = 0
    height: int = 0


class ResharesView(View, frozen=True, kw_only=True):
    """`/reshares`: those under way, and the rids of finished ones that some new member still lacks."""

    open: tuple[ReshareView, ...]
    retained: tuple[str, ...] = ()
