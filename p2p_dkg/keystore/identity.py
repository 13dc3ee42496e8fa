"""Keys that sign: the node's identity key and the service key of an epoch. They stay in the object."""

from __future__ import annotations

from authnet_core.crypto import ecdsa, ecies, secp256k1
from authnet_core.crypto.hashing import hkdf_sha256


class SecretSigner:
    """A secp256k1 key. Satisfies `p2p_dkg.ports.Signer`."""

    __slots__ = ("_secret", "pub")

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self.pub = secp256k1.pub(secret)

    def __repr__(self) -> str:
        return f"SecretSigner({self.pub.hex()})"

    def sign(self, digest: bytes) -> bytes:
        """r || s, low s."""
        return ecdsa.sign(self._secret, digest)

    def sign_recoverable(self, digest: bytes) -> bytes:
        """r || s || v, v = 27 or 28."""
        return ecdsa.sign_recoverable(self._secret, digest)

    def open(self, sealed: ecies.Ecies) -> bytes:
        """Open what was sealed to this key. Raises ValueError."""
        return ecies.decrypt(self._secret, sealed)

    def reveal(self) -> bytes:
        """The raw key, for wrapping it and for the leak test of a development network."""
        return self._secret


def transport_seed(identity: bytes) -> bytes:
    """Seed of the libp2p key (ed25519), bound to the identity key and of no use to sign anything else."""
    return hkdf_sha256(identity, b"authnet/keeper/v1", b"libp2p")
