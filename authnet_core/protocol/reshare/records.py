"""What one resharing keeps on disk: names, shelves and layouts of the records.

deal       brief     seed (32) || RDEAL; written before anything of it is sent
test       brief     seed of the challenge (32) || u_j; written before RTEST: a mask meets one challenge, ever
bundle/j   retained  ciphertexts of old dealer j in the new committee's order
ready      retained  the hash that READY carries
shares     kept      own new share (32) || nonce (32) by position; the key shares of the new epoch
"""

from authnet_core.protocol.dkg.deal import leaf_of
from authnet_core.protocol.dkg.effects import Shelf, Store
from authnet_core.protocol.dkg.records import SHARES, bundle_name, split_ciphertexts
from authnet_core.protocol.reshare.messages import SCALAR, ReshareBundle, ReshareDeal, ReshareTest
from authnet_core.protocol.reshare.params import Party, ReshareParams

__all__ = ["DEAL", "READY", "SHARES", "TEST", "bundle_name"]

DEAL = "deal"
TEST = "test"
READY = "ready"


def store_deal(seed: bytes, deal: ReshareDeal) -> Store:
    return Store(DEAL, seed + deal.encode(), Shelf.BRIEF)


def load_deal(payload: bytes) -> tuple[bytes, ReshareDeal]:
    """(seed, RDEAL). Raises ValueError."""
    return payload[:32], ReshareDeal.decode(payload[32:])


def store_test(test: ReshareTest) -> Store:
    return Store(TEST, test.gamma_seed + b"".join(test.u), Shelf.BRIEF)


def load_test(params: ReshareParams, payload: bytes) -> ReshareTest:
    """Inverse of store_test. Raises ValueError."""
    if len(payload) != 32 + SCALAR * params.new.k:
        raise ValueError("not a stored test")
    u = tuple(payload[at : at + SCALAR] for at in range(32, len(payload), SCALAR))
    return ReshareTest(params.rid, u, payload[:32])


def store_bundle(bundle: ReshareBundle) -> Store:
    """Leaves follow from the ciphertexts."""
    return Store(bundle_name(bundle.dealer), b"".join(bundle.ciphertexts), Shelf.RETAINED)


def load_bundle(params: ReshareParams, dealer: Party, payload: bytes) -> ReshareBundle:
    """Inverse of store_bundle. Raises ValueError."""
    ciphertexts = split_ciphertexts(params.eks, params.plaintext_size, payload)
    return ReshareBundle(params.rid, dealer, tuple(map(leaf_of, ciphertexts)), ciphertexts)
