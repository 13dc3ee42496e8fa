"""What a keeper's own epoch_manager saw in the registry, compared with what the chain says the next committee is. Pure.

Addresses may be corrected until an epoch starts, and are left out; everything that secrets are sent to is in.
"""

from __future__ import annotations

from collections.abc import Iterable

from authnet_core.crypto.hashing import tagged_hash
from authnet_core.protocol.views import EpochView
from authnet_core.wire.authnet_pb2 import EpochRecord
from p2p_dkg.keystore.pledges import Sighting

_Keys = tuple[bytes, bytes, str]


def _digest(epoch: int, sizes: tuple[int, int, int], members: Iterable[_Keys]) -> str:
    flat = [part for identity, consensus, peer_id in members for part in (identity, consensus, peer_id.encode())]
    return tagged_hash("authnet/keeper/v1/committee", epoch, *sizes, *flat).hex()


def sighting_of(record: EpochRecord) -> Sighting:
    """A record as it is remembered."""
    members = sorted(record.members, key=lambda member: member.index)
    keys = [(member.identity, member.consensus, member.peer_id) for member in members]
    return Sighting(record.epoch, _digest(record.epoch, (record.n, record.k, record.t), keys), record.aborted)


def view_keys(view: EpochView) -> str:
    """The chain's record of an epoch, to compare with a sighting's `keys`."""
    members = sorted(view.members, key=lambda member: member.index)
    keys = [(bytes.fromhex(m.identity), bytes.fromhex(m.consensus), m.peer_id) for m in members]
    return _digest(view.epoch, (view.n, view.k, view.t), keys)
