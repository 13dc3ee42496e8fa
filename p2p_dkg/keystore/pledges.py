"""What a keeper has bound itself to in a hand-over, and must not forget: small sealed records of the whole keystore.

To whom it may deal: the committees that its own epoch_manager saw in finalized blocks. For what each mask key was
used: two challenges under one mask open a linear combination of users' keys.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

import msgspec

MAX_SIGHTINGS = 64


class Sighting(msgspec.Struct, frozen=True):
    """An epoch's record as the registry had it. `keys` names its members' keys and its sizes."""

    epoch: int
    keys: str
    aborted: bool


class Sightings(msgspec.Struct, frozen=True):
    """Oldest first."""

    seen: tuple[Sighting, ...] = ()


class MaskUse(msgspec.Struct, frozen=True, array_like=True):
    """A mask key and the one resharing it serves. Its shares change from epoch to epoch, its secret never does."""

    index: int
    rid: str


class MaskUses(msgspec.Struct, frozen=True):
    """In the order of use."""

    uses: tuple[MaskUse, ...] = ()


class Pledges:
    """Blocks on the disk when something new is pledged."""

    def __init__(
        self,
        sightings: Sightings | None,
        masks: MaskUses | None,
        put: Callable[[str, msgspec.Struct], None],
    ) -> None:
        self._put = put
        self._sightings = (sightings or Sightings()).seen
        self._masks = {use.index: use for use in (masks or MaskUses()).uses}
        self._lock = threading.Lock()

    def sight(self, sighting: Sighting) -> bool:
        """Remember what the registry says; whether it was new. An abort is never taken back."""
        with self._lock:
            if sighting in self._sightings:
                return False
            # Of many epochs the newest stay: a hand-over is to a higher number than all before it.
            kept = sorted((*self._sightings, sighting), key=lambda known: (known.epoch, known.aborted))[-MAX_SIGHTINGS:]
            self._put("sightings", Sightings(tuple(kept)))
            self._sightings = tuple(kept)
            return True

    def may_deal(self, epoch: int, keys: str) -> bool:
        """Whether this committee was seen, and its epoch was never seen to be called off."""
        known = [sighting for sighting in self._sightings if sighting.epoch == epoch]
        return any(sighting.keys == keys for sighting in known) and not any(sighting.aborted for sighting in known)

    def claim_mask(self, index: int, rid: bytes, *, has_dealt: bool) -> bool:
        """Use a mask key for one resharing; False if it serves another one already, of whichever epoch.

        `has_dealt`: whether its deal is on disk. Once that is erased the same resharing is refused too: a chain that
        shows it from the beginning again would get a second answer.
        """
        with self._lock:
            use = self._masks.get(index)
            if use is not None:
                return use.rid == rid.hex() and has_dealt
            masks = {**self._masks, index: MaskUse(index, rid.hex())}
            self._put("masks", MaskUses(tuple(masks.values())))
            self._masks = masks
            return True
