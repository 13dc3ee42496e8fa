"""What one member may write in a window of block time, so that none alone fills blocks or drains the pool.

Only kinds that a member could send without end, or that cost much, are counted: ASSIGN, ENCKEY (each costs up to
32 proofs), OBSERVE and COMPLAIN (33 kB and a judgement). The others are bounded per session. Charged on success.
"""

from __future__ import annotations

from msgspec.structs import replace

from abci_app.state import records as r
from abci_app.state import tables
from abci_app.state.state import State
from authnet_core.errors import Code, Rejected


def get_quota(state: State, epoch: int, member: int) -> r.Quota:
    """The member's running window; a new one begins with the first charge after the old one's end."""
    quota = state.get(tables.quota(epoch, member))
    window = state.need(tables.PARAMS).quota_window_ms
    if quota is None or state.block.time_ms >= quota.window_ms + window:
        return r.Quota(state.block.time_ms, 0, 0)
    return quota


def _require(state: State, quota: r.Quota, is_left: bool) -> None:
    if not is_left:
        wait_ms = quota.window_ms + state.need(tables.PARAMS).quota_window_ms - state.block.time_ms
        raise Rejected(Code.QUOTA_EXCEEDED, f"this member's quota is used up; come back in {wait_ms} ms")


def require_assign(state: State, epoch: int, member: int, is_lookup: bool) -> None:
    """Raise Rejected unless the member may assign one more key. Look-ups leave a share to logins."""
    params, quota = state.need(tables.PARAMS), get_quota(state, epoch, member)
    lookups = params.quota * params.lookup_percent // 100
    _require(state, quota, quota.used < params.quota and not (is_lookup and quota.lookups >= lookups))


def require_enckey(state: State, epoch: int, member: int) -> None:
    """Raise Rejected unless the member may announce once more."""
    quota = get_quota(state, epoch, member)
    _require(state, quota, quota.enckeys < state.need(tables.PARAMS).enckey_quota)


def require_observe(state: State, epoch: int, member: int) -> None:
    """Raise Rejected unless the member may observe once more."""
    quota = get_quota(state, epoch, member)
    _require(state, quota, quota.observed < state.need(tables.PARAMS).observe_quota)


def require_complaint(state: State, epoch: int, member: int) -> None:
    """Raise Rejected unless the member may complain once more, in this block and in its window."""
    params = state.need(tables.PARAMS)
    if state.complaints[epoch, member] >= params.block_complaints:
        raise Rejected(Code.BUSY, f"a member may complain {params.block_complaints} times in a block")
    quota = get_quota(state, epoch, member)
    _require(state, quota, quota.complaints < params.complaint_quota)


def charge(state: State, epoch: int, member: int, **counts: int) -> None:
    """Count what the member just did, by field of its Quota."""
    quota = get_quota(state, epoch, member)
    charged = replace(quota, **{name: getattr(quota, name) + count for name, count in counts.items()})
    state.put(tables.quota(epoch, member), charged)
