"""What a resharing needs to know about its keys, read from the chain: public keys, and where its mask key is."""

from __future__ import annotations

from dataclasses import dataclass

from authnet_core.errors import AuthnetError, Code
from authnet_core.protocol.reshare.params import PublicKeys
from authnet_core.protocol.views import BatchView, ReshareView, View
from authnet_runtime.chain import ChainReader

PAGE_KEYS = 500


class KeyPair(View, frozen=True, kw_only=True):
    """The fields of a KeyView that are read here."""

    index: int
    Y: str
    N: str
    upgraded: bool = False


@dataclass(frozen=True, slots=True)
class BatchKeys:
    """`mask_batch` and `mask_position` name the mask key's share in the old epoch's keystore."""

    public: PublicKeys
    mask_batch: bytes
    mask_position: int


async def read_keys(chain: ChainReader, view: ReshareView) -> BatchKeys:
    """Page by page. Raises AuthnetError(UNAVAILABLE) while the chain does not show them all."""
    pairs: list[bytes] = []
    upgraded: list[int] = []
    while len(pairs) < view.count:
        first = view.first_index + len(pairs)
        limit = min(PAGE_KEYS, view.count - len(pairs))
        page = await chain.query(f"/keys/{first}/{limit}", list[KeyPair])
        _require(page, first, limit)
        pairs += [bytes.fromhex(key.Y + key.N) for key in page or ()]
        upgraded += [key.index - view.first_index for key in page or () if key.upgraded]
    mask = await chain.query(f"/keys/{view.mask_index}/1", list[KeyPair])
    _require(mask, view.mask_index, 1)
    batch = await chain.query(f"/batch/{view.from_epoch}/{view.mask_index}", BatchView)
    if not mask or batch is None or batch.id != view.mask_source:
        raise AuthnetError(Code.UNAVAILABLE, f"the chain does not show the batch of mask key {view.mask_index}")
    public = PublicKeys(b"".join(pairs), bytes.fromhex(mask[0].Y), frozenset(upgraded))
    return BatchKeys(public, bytes.fromhex(batch.id), view.mask_index - batch.first_index)


def _require(page: list[KeyPair] | None, first: int, count: int) -> None:
    if page is None or [key.index for key in page] != list(range(first, first + count)):
        raise AuthnetError(Code.UNAVAILABLE, f"the chain does not show the keys from {first} on")
