"""What the machine asks its driver to do. Those of the key generation are the very same ones.

The driver carries effects out strictly in order; `Store` is durable (fsync) before any later effect runs.
RDEAL and RTEST are signed for the old epoch, the others for the new one.
`Blame.party` is an index of the committee that the reason starts with: `old member` or `new member`.
`Done(HELD)` at a node that is in the old committee only says that the new one has the batch.
"""

from dataclasses import dataclass
from typing import TypeAlias

from authnet_core.protocol.dkg.effects import Blame, Done, Erase, Outcome, SetTimer, Shelf, Store, Submit
from authnet_core.protocol.reshare.messages import ReshareChainMessage, ReshareMessage

__all__ = [
    "Blame",
    "Done",
    "Erase",
    "Outcome",
    "ReshareEffect",
    "SendAllNew",
    "SendNew",
    "SendOld",
    "SetTimer",
    "Shelf",
    "Store",
    "Submit",
]


@dataclass(frozen=True, slots=True)
class SendOld:
    """To a member of the old committee."""

    to: int
    message: ReshareMessage


@dataclass(frozen=True, slots=True)
class SendNew:
    """To a member of the new committee."""

    to: int
    message: ReshareMessage


@dataclass(frozen=True, slots=True)
class SendAllNew:
    """To every other member of the new committee."""

    message: ReshareMessage


ReshareEffect: TypeAlias = (
    SendOld | SendNew | SendAllNew | Submit[ReshareChainMessage] | Store | Erase | SetTimer | Blame | Done
)
