"""Values of the state's tables. Stored as msgpack arrays of the fields in order, which is one encoding per value.

Append fields only, with a default: the bytes are under the app hash. Bitmaps have bit (j - 1) for party j.
"""

from __future__ import annotations

import msgspec


class Record(msgspec.Struct, frozen=True, array_like=True):
    """A value of the state."""


class Params(Record, frozen=True):
    """Rules' numbers; genesis may override them by name (docs/protocol/chain.md explains each)."""

    t_q_ms: int = 2_000
    t_max_ms: int = 60_000
    enckey_wait_ms: int = 2_000
    min_blocks: int = 3
    first_rows: int = 64
    rows: int = 341
    sessions_in_flight: int = 2
    pool_low: int = 1_000
    pool_high: int = 4_000
    reserve_percent: int = 20
    quota: int = 500
    quota_window_ms: int = 60_000
    lookup_percent: int = 50
    expiry_window: int = 100
    max_block_txs: int = 4_000
    enckey_ahead: int = 64
    retain_ms: int = 604_800_000
    recent_sessions: int = 32
    new_key_window_ms: int = 10_000
    allow_forkable: int = 0
    enckey_quota: int = 32
    observe_quota: int = 256
    account_keys: int = 16
    t_open_ms: int = 3_000
    block_complaints: int = 2
    complaint_quota: int = 32
    join_wait_ms: int = 30_000
    handover_max_ms: int = 86_400_000
    t_d_ms: int = 2_000
    t_test_ms: int = 2_000
    t_ack_ms: int = 5_000
    t_ready_ms: int = 10_000
    reshares_in_flight: int = 4
    reshare_attempts: int = 8
    serve_delay_ms: int = 60_000
    grace_ms: int = 180_000
    mask_reserve: int = 16


class Genesis(Record, frozen=True):
    """What InitChain was told, once and for all."""

    chain_id: str
    network_id: str
    eth_chain_id: int
    registry: str
    dev: bool
    observers: tuple[bytes, ...]


class ValidatorSet(Record, frozen=True):
    """(ed25519 key, power), ordered by key: our own copy of what CometBFT uses next."""

    members: tuple[tuple[bytes, int], ...]


class Member(Record, frozen=True):
    index: int
    operator: str
    identity: bytes
    consensus: bytes
    peer_id: str
    p2p_addr: str
    comet_addr: str
    endpoint: str


class Epoch(Record, frozen=True):
    epoch: int
    n: int
    k: int
    t: int
    members: tuple[Member, ...]
    committee_hash: bytes
    record_hash: bytes
    status: str
    """next, serving (in charge), retired, aborted."""
    serving_from_ms: int
    previous: int = 0
    """The epoch it took over from, 0 for the first."""
    serving_until_ms: int = 0
    grace_ends_ms: int = 0
    """Both 0 while it is in charge."""
    erased: int = 0
    """Members that erased its shares."""
    called_off: bool = False
    """The registry called it off when it was in charge already: what comes next there names an epoch before it."""


class CurrentEpoch(Record, frozen=True):
    epoch: int


class EncKeys(Record, frozen=True):
    """Encryption keys of one member for the counters from `first`, and its epoch service key."""

    service_key: bytes
    first: int
    keys: tuple[bytes, ...]

    @property
    def last(self) -> int:
        return self.first + len(self.keys) - 1

    def key_at(self, counter: int) -> bytes:
        """The key for `counter`, or b""."""
        at = counter - self.first
        return self.keys[at] if 0 <= at < len(self.keys) else b""


class Deal(Record, frozen=True):
    e: bytes
    pok: bytes
    root: bytes
    list_hash: bytes
    nonce_hash: bytes
    u: tuple[bytes, ...]
    height: int


class Dealt(Record, frozen=True):
    """Signed DEALs of a session by dealer, b"" for none: evidence, kept while somebody may complain."""

    txs: tuple[bytes, ...]


class Complaint(Record, frozen=True):
    """One judged COMPLAIN. Upheld: the dealer was convicted; else the complainer was."""

    dealer: int
    complainer: int
    upheld: bool
    height: int


class Fallback(Record, frozen=True):
    """The exponent fallback for one dealer of Q: list hashes until the cut-off, one challenge ever, then scalars."""

    dealer: int
    lists: tuple[bytes, ...]
    scalars: tuple[bytes, ...]
    seed: bytes = b""
    seed_height: int = 0


class Session(Record, frozen=True):
    """One key generation session. Tuples per party have n entries, party j at j - 1."""

    sid: bytes
    epoch: int
    curve: str
    counter: int
    rows: int
    phase: str
    h0: int
    t0_ms: int
    eks: tuple[bytes, ...]
    left_out: int
    deals: tuple[Deal | None, ...]
    acks: tuple[int, ...]
    opened: tuple[int, ...]
    finals: tuple[bytes, ...]
    q: tuple[int, ...] = ()
    q_height: int = 0
    root: bytes = b""
    final_height: int = 0
    final_ms: int = 0
    first_index: int = 0
    count: int = 0
    chunks: int = 0
    holders: int = 0
    complaints: tuple[Complaint, ...] = ()
    q_t0_ms: int = 0
    fallbacks: tuple[Fallback, ...] = ()


class Penalty(Record, frozen=True):
    """A dealer that did not open: how often only the fallback opened it, and how many sessions it still sits out."""

    party: int
    strikes: int
    left: int


class Keygen(Record, frozen=True):
    """What the next session needs: its counter, since when n-t members wait for the rest, who is left out."""

    next_counter: int
    waiting_height: int = 0
    waiting_ms: int = 0
    suspects: tuple[int, ...] = ()
    """Oldest first, at most t."""
    penalties: tuple[Penalty, ...] = ()
    """By party, of all that were ever suspects in this epoch."""


class Convicts(Record, frozen=True):
    """Bitmaps of an epoch's convicts: dealers whose shares failed the test, complainers who lied."""

    dealers: int = 0
    liars: int = 0

    @property
    def all(self) -> int:
        return self.dealers | self.liars


class BlameCount(Record, frozen=True):
    """Convictions so far; the next one's number."""

    count: int = 0


class Blame(Record, frozen=True):
    """One conviction and what proves it without the chain, but for the committee, which `epoch` names."""

    number: int
    epoch: int
    convict: int
    accuser: int
    height: int
    sid: bytes
    curve: str
    counter: int
    rows: int
    eks: tuple[bytes, ...]
    deal: bytes
    complain: bytes
    reshare: bytes = b""
    """A `ReshareCase` if it was in a resharing: `sid` is its rid then, `accuser` of the other committee, or 0."""


class SessionList(Record, frozen=True):
    sids: tuple[bytes, ...] = ()


class PoolBatch(Record, frozen=True):
    """Free keys of one final session: index ranges [start, end) that are on chain, lowest first."""

    sid: bytes
    epoch: int
    first_index: int
    held_by_all: bool
    spans: tuple[tuple[int, int], ...]
    moved: bool = False
    """The former committee holds them too."""

    @property
    def free(self) -> int:
        return sum(end - start for start, end in self.spans)


class Pool(Record, frozen=True):
    """Keys of one curve. `made` counts keys on chain, `masked` those of them that are no one's, ever."""

    curve: str
    made: int = 0
    assigned: int = 0
    reserved_total: int = 0
    filling: bool = False
    batches: tuple[PoolBatch, ...] = ()
    masked: int = 0

    @property
    def free(self) -> int:
        return self.made - self.assigned - self.masked


class Indices(Record, frozen=True):
    """The key index that the next final session starts at; one numbering for all curves."""

    next_index: int = 0
    batches: int = 0


class Key(Record, frozen=True):
    """An assigned key. Free keys are below their session's root only."""

    curve: str
    y: bytes
    n: bytes
    sid: bytes
    position: int
    epoch: int
    account: bytes
    assigned_ms: int
    upgraded: bool = False


class Account(Record, frozen=True):
    """(curve, key index) in the order of assignment."""

    keys: tuple[tuple[str, int], ...]


class Quota(Record, frozen=True):
    window_ms: int
    used: int
    lookups: int
    enckeys: int = 0
    observed: int = 0
    complaints: int = 0


class Bucket(Record, frozen=True):
    """Replay ids that expire at one height: how many, and a running hash over them in order."""

    count: int
    digest: bytes


class Ballot(Record, frozen=True):
    """One proposed registry record and who has seen it."""

    record_hash: bytes
    record: bytes
    voters: int


class Votes(Record, frozen=True):
    ballots: tuple[Ballot, ...]


class OpenVotes(Record, frozen=True):
    """Registry subjects on which a member's vote is still undecided."""

    subjects: tuple[bytes, ...]


class Audience(Record, frozen=True):
    aud: str
    mode: str


class AudienceOwner(Record, frozen=True):
    """Which verifier an (issuer, audience) belongs to, for good, and its mode."""

    verifier: str
    mode: str


class Verifier(Record, frozen=True):
    name: str
    version: int
    issuer: str
    jwks_url: str
    audiences: tuple[Audience, ...]
    id_claim: str
    case_rule: str
    algorithms: tuple[str, ...]
    iat_limit_s: int
    session_claim: str
    owner: str
    removed: bool


class Names(Record, frozen=True):
    names: tuple[str, ...] = ()


class Meta(Record, frozen=True):
    """The newest commit: what Info answers."""

    height: int
    time_ms: int
    app_hash: bytes
    root_height: int
    """The first height with this app hash."""
