"""Steps 5 and 7 joined: own shares, nonces and the public list of a session, once everything of Q is held. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from authnet_core.crypto.points import Point
from authnet_core.protocol.dkg import extract, keys, records
from authnet_core.protocol.dkg.check import Plain
from authnet_core.protocol.dkg.effects import Effect, Shelf, Store
from authnet_core.protocol.dkg.keys import SessionKeys
from authnet_core.protocol.dkg.params import Party, SessionParams


@dataclass(frozen=True, slots=True)
class Batch:
    """A node's result: `shares` is the KEPT record, `keys` is the same at every honest node."""

    shares: bytes = field(repr=False)
    keys: SessionKeys

    def stores(self) -> list[Effect]:
        """On disk before FINAL is signed."""
        return [
            Store(records.SHARES, self.shares, Shelf.KEPT),
            Store(records.KEYS, self.keys.pairs, Shelf.RETAINED),
        ]


def compute_batch(
    params: SessionParams,
    q: Sequence[Party],
    plains: Mapping[Party, Plain],
    points: Mapping[Party, list[Point | None]],
) -> Batch:
    """Needs the own shares and the opened list of every dealer in Q."""
    own = extract.extract_shares(params, q, {party: plains[party].shares for party in q})
    seed = keys.nonce_root(params.sid, {party: plains[party].contribution for party in q})
    nonces = keys.nonces(params, q, seed)
    public = keys.public_points(params, q, points)
    pairs = b"".join(y + keys.nonce_point(nonce) for y, nonce in zip(public, nonces, strict=True))
    shares = b"".join(x.to_bytes(32, "big") + nonce.to_bytes(32, "big") for x, nonce in zip(own, nonces, strict=True))
    return Batch(shares, keys.session_keys(pairs))


def load_batch(durable: Mapping[str, bytes]) -> Batch | None:
    """The batch of an earlier life. Without the key list only the shares are of use, and they stay where they are."""
    shares, pairs = durable.get(records.SHARES), durable.get(records.KEYS)
    return Batch(shares, keys.session_keys(pairs)) if shares and pairs else None
