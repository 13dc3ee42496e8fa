"""Who the members are, and what each may write: the one table of kinds, body epochs and committees.

A transaction names an epoch; its signer must be a member of that epoch, and the epoch must stand to the present as
the kind asks. Before epoch 1 the members are the observers of genesis, in epoch 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from abci_app.handover.phases import ANNOUNCED, RETIRED
from abci_app.state import records as r
from abci_app.state import tables
from abci_app.state.state import Reader, State
from authnet_core.errors import Code, Rejected
from authnet_core.protocol.committee import Committee

LEAVING_MS = 10_000
"""Members of a former epoch e serve until A_{e+1}; their last assignments may reach a block this much later."""


class Standing(StrEnum):
    """What an epoch is at present. A former one may be two things at once."""

    CURRENT = "current"
    NEXT = "next"
    LEAVING = "leaving"
    RETIRED = "retired"


_CURRENT: Final = frozenset({Standing.CURRENT})
_NEXT: Final = frozenset({Standing.NEXT})
_NEW: Final = _CURRENT | _NEXT

STANDINGS: Final[Mapping[str, frozenset[Standing]]] = {
    "deal": _CURRENT,
    "ack": _CURRENT,
    "complain": _CURRENT,
    "opened": _CURRENT,
    "fallback_list": _CURRENT,
    "fallback_scalar": _CURRENT,
    "final": _CURRENT,
    "keys": _CURRENT,
    "have": _CURRENT,
    "observe": _CURRENT,
    "reject": _CURRENT,
    "rdeal": _CURRENT,
    "rtest": _CURRENT,
    "enckey": _NEW,
    "rack": _NEXT,
    "rcomplain": _NEW,
    "ready": _NEXT,
    "rhave": _NEW,
    "ready_node": _NEXT,
    "assign": frozenset({Standing.CURRENT, Standing.LEAVING}),
    "erased": frozenset({Standing.RETIRED}),
}
"""What the epoch in the body must be, by kind. Who catches up on shares goes on with that after the switch."""


@dataclass(frozen=True, slots=True)
class Membership:
    """Identity keys of an epoch's members, party j at j - 1."""

    epoch: int
    identities: tuple[bytes, ...]

    @property
    def committee(self) -> Committee:
        return Committee.of(len(self.identities))

    def index_of(self, signer: bytes) -> int:
        """Party index of an identity key. Raises Rejected(NOT_A_MEMBER)."""
        try:
            return self.identities.index(signer) + 1
        except ValueError:
            raise Rejected(Code.NOT_A_MEMBER, f"the signer is no member of epoch {self.epoch}") from None


def get_current_epoch(state: Reader) -> r.Epoch | None:
    """The epoch in charge, or None before the first is observed."""
    current = state.get(tables.CURRENT_EPOCH)
    return None if current is None else state.get(tables.epoch(current.epoch))


def need_epoch(state: Reader) -> r.Epoch:
    """The epoch in charge. Raises Rejected(WRONG_PHASE) before the first."""
    found = get_current_epoch(state)
    if found is None:
        raise Rejected(Code.WRONG_PHASE, "no epoch has been observed yet")
    return found


def _membership_of(epoch: r.Epoch) -> Membership:
    return Membership(epoch.epoch, tuple(member.identity for member in epoch.members))


def get_membership(state: Reader) -> Membership:
    """Those in charge now."""
    epoch = get_current_epoch(state)
    if epoch is not None:
        return _membership_of(epoch)
    genesis = state.get(tables.GENESIS)
    return Membership(0, genesis.observers if genesis is not None else ())


def get_party(state: Reader, signer: bytes, number: int | None = None) -> tuple[r.Epoch, int]:
    """Epoch `number`, without it the one in charge, and the signer's party index in it. Raises Rejected.

    Handlers of kinds that more than the current epoch may write give the body's epoch.
    """
    epoch = need_epoch(state)
    if number is not None and number != epoch.epoch:
        other = state.get(tables.epoch(number))
        if other is None:
            raise Rejected(Code.WRONG_EPOCH, f"epoch {number} is unknown")
        epoch = other
    return epoch, _membership_of(epoch).index_of(signer)


def standings_of(state: State, epoch: r.Epoch) -> frozenset[Standing]:
    """What an epoch on chain is in this block."""
    current, handover = get_current_epoch(state), state.get(tables.HANDOVER)
    if current is not None and epoch.epoch == current.epoch:
        return _CURRENT
    if handover is not None and epoch.epoch == handover.epoch:
        return _NEXT if handover.phase != ANNOUNCED else frozenset()
    if epoch.status != RETIRED:
        return frozenset()
    # With hand-overs in quick succession more than one former committee may still serve or be about to.
    is_leaving = state.block.time_ms < epoch.serving_until_ms + LEAVING_MS
    return frozenset({Standing.RETIRED, Standing.LEAVING}) if is_leaving else frozenset({Standing.RETIRED})


def check_membership(state: State, kind: str, number: int, signer: bytes) -> None:
    """Raise Rejected unless a member of epoch `number` may write `kind` now, and `signer` is one."""
    present = get_membership(state)
    if number == present.epoch:
        if Standing.CURRENT in STANDINGS[kind]:
            present.index_of(signer)
            return
    else:
        epoch = state.get(tables.epoch(number))
        if epoch is not None and standings_of(state, epoch) & STANDINGS[kind]:
            _membership_of(epoch).index_of(signer)
            return
    raise _misplaced(state, kind, number, present.epoch)


def _misplaced(state: State, kind: str, number: int, current: int) -> Rejected:
    """Why a kind can not be written in the name of this epoch."""
    handover, wants = state.get(tables.HANDOVER), STANDINGS[kind]
    if Standing.NEXT in wants and handover is not None and number == handover.epoch:
        return Rejected(Code.NO_HANDOVER, f"epoch {number} is announced; its members join after the notice")
    if wants == _NEXT and handover is None:
        return Rejected(Code.NO_HANDOVER, f"no hand-over is under way; the current epoch is {current}")
    if wants == _NEXT and handover is not None:
        return Rejected(Code.WRONG_EPOCH, f"members of epoch {handover.epoch} write this")
    if wants == {Standing.RETIRED}:
        return Rejected(Code.WRONG_EPOCH, f"epoch {number} has not been replaced; the current epoch is {current}")
    return Rejected(Code.WRONG_EPOCH, f"the current epoch is {current}")
