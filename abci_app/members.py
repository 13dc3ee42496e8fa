"""Who the members are: the current epoch's, or before epoch 1 the observers of genesis."""

from __future__ import annotations

from dataclasses import dataclass

from abci_app import records as r
from abci_app import tables
from abci_app.state import Reader
from authnet_core.errors import Code, Rejected
from authnet_core.protocol.committee import Committee


@dataclass(frozen=True, slots=True)
class Membership:
    """Identity keys of the present members, party j at j - 1."""

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


def get_membership(state: Reader) -> Membership:
    """Those who may write now."""
    epoch = get_current_epoch(state)
    if epoch is not None:
        return Membership(epoch.epoch, tuple(member.identity for member in epoch.members))
    genesis = state.get(tables.GENESIS)
    return Membership(0, genesis.observers if genesis is not None else ())


def get_party(state: Reader, signer: bytes) -> tuple[r.Epoch, int]:
    """The epoch and the signer's party index in it. Raises Rejected."""
    epoch = need_epoch(state)
    for member in epoch.members:
        if member.identity == signer:
            return epoch, member.index
    raise Rejected(Code.NOT_A_MEMBER, f"the signer is no member of epoch {epoch.epoch}")
