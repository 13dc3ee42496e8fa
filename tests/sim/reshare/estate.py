"""What a resharing starts from: keys whose secrets the tests know, their shares, the new nodes' encryption keys."""

from dataclasses import dataclass, field
from random import Random

from authnet_core.crypto import merkle
from authnet_core.crypto.secp256k1 import Q, pub
from authnet_core.crypto.shamir import evaluate
from authnet_core.protocol.committee import Committee
from authnet_core.protocol.dkg.keys import leaves_of
from authnet_core.protocol.dkg.strings import committee_hash
from authnet_core.protocol.reshare.params import PublicKeys, ReshareParams

CHAIN_ID = "sim-1"


@dataclass(frozen=True)
class Estate:
    """A batch before it moves. `rows[j]` are old node j's kept rows, `masks[j]` its share of the mask."""

    params: ReshareParams
    keys: PublicKeys
    secrets: tuple[int, ...] = field(repr=False)
    mask_secret: int = field(repr=False)
    rows: dict[int, bytes] = field(repr=False)
    masks: dict[int, bytes] = field(repr=False)
    eks: dict[int, bytes] = field(repr=False)
    """New member -> its encryption secret; one that announced none is not in it."""

    @property
    def nonces(self) -> bytes:
        rows = self.rows[1]
        return b"".join(rows[at + 32 : at + 64] for at in range(0, len(rows), 64))


def scalar(rng: Random) -> int:
    return rng.randrange(1, Q)


def wide(value: int) -> bytes:
    return value.to_bytes(32, "big")


def make_estate(  # one place for all that a batch is made of
    rng: Random,
    old: Committee,
    new: Committee,
    count: int = 3,
    upgraded: tuple[int, ...] = (),
    without_key: tuple[int, ...] = (),
    attempt: int = 0,
) -> Estate:
    polynomials = [[scalar(rng) for _ in range(old.k)] for _ in range(count)]
    masks = Random(f"{attempt}/{rng.random()}")  # each attempt burns one of its own
    polynomials.append([scalar(masks) for _ in range(old.k)])
    nonces = [0 if at in upgraded else scalar(rng) for at in range(count)]
    # The point of an upgraded key's nonce stays on chain; its scalar is nowhere.
    points = [pub(nonce or scalar(rng)) for nonce in nonces]
    pairs = b"".join(pub(f[0]) + n for f, n in zip(polynomials[:-1], points, strict=True))
    shares = {j: [evaluate(f, j) for f in polynomials] for j in range(1, old.n + 1)}
    eks = {m: wide(scalar(rng)) for m in range(1, new.n + 1) if m not in without_key}
    identities = [pub(scalar(rng)) for _ in range(old.n + new.n)]
    params = ReshareParams(
        chain_id=CHAIN_ID,
        from_epoch=1,
        old=old,
        old_hash=committee_hash(old, identities[: old.n]),
        to_epoch=2,
        new=new,
        new_hash=committee_hash(new, identities[old.n :]),
        curve="secp256k1",
        first_index=1024,
        count=count,
        root=merkle.root(leaves_of(pairs)),
        mask_index=7 + attempt,
        attempt=attempt,
        counter=0,
        eks=tuple(pub(eks[m]) if m in eks else b"" for m in range(1, new.n + 1)),
    )
    return Estate(
        params=params,
        keys=PublicKeys(pairs, pub(polynomials[-1][0]), frozenset(upgraded)),
        secrets=tuple(f[0] for f in polynomials[:-1]),
        mask_secret=polynomials[-1][0],
        rows={
            j: b"".join(wide(x) + wide(nonce) for x, nonce in zip(values[:-1], nonces, strict=True))
            for j, values in shares.items()
        },
        masks={j: wide(values[-1]) for j, values in shares.items()},
        eks=eks,
    )
