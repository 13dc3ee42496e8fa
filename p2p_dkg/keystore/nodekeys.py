"""node.keys: the one file the passphrase opens. It holds the master key and the node's identity key.

Written once, at the keystore's birth, in one piece.
"""

from __future__ import annotations

import hmac
import os
from pathlib import Path

import msgspec
from coincurve import PrivateKey

from authnet_core.errors import AuthnetError, Code
from authnet_core.json_text import NOT_JSON
from p2p_dkg.keystore.files import damaged, read_file, write_durably
from p2p_dkg.keystore.sealing import KEY_BYTES, Box, passphrase_key

FILE = "node.keys"
SALT_BYTES = 16
MAX_SCRYPT_N = 2**15


class NodeKeysFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file as JSON; `sealed` holds the two keys."""

    version: int
    scrypt_n: int
    salt: str
    check: str
    sealed: str


class NodeKeys:
    """The two keys of a node, in memory only."""

    __slots__ = ("identity", "master")

    def __init__(self, master: bytes, identity: bytes) -> None:
        self.master, self.identity = master, identity

    def __repr__(self) -> str:
        return "NodeKeys(...)"


def create_node_keys(path: Path, network_id: str, passphrase: bytes, scrypt_n: int) -> NodeKeys:
    """Draw a master key and an identity key and store them. The file must not be there yet."""
    keys = NodeKeys(os.urandom(KEY_BYTES), bytes(PrivateKey().secret))
    salt = os.urandom(SALT_BYTES)
    wrapping, check = passphrase_key(passphrase, salt, scrypt_n)
    sealed = Box(wrapping, network_id).seal(FILE, keys.master + keys.identity)
    content = NodeKeysFile(1, scrypt_n, salt.hex(), check.hex(), sealed.hex())
    write_durably(path, msgspec.json.encode(content))
    return keys


def _parse(content: bytes) -> tuple[NodeKeysFile, bytes, bytes, bytes]:
    try:
        parsed = msgspec.json.decode(content, type=NodeKeysFile)
        raw = tuple(bytes.fromhex(text) for text in (parsed.salt, parsed.check, parsed.sealed))
    except (ValueError, *NOT_JSON):
        raise damaged(FILE) from None
    n = parsed.scrypt_n
    if parsed.version != 1 or not 2 <= n <= MAX_SCRYPT_N or n & (n - 1):
        raise damaged(FILE)
    return parsed, raw[0], raw[1], raw[2]


def open_node_keys(path: Path, network_id: str, passphrase: bytes) -> NodeKeys | None:
    """The stored keys, None if there are none yet. Raises WRONG_PASSPHRASE or KEYSTORE_DAMAGED."""
    content = read_file(path)
    if content is None:
        return None
    parsed, salt, check, sealed = _parse(content)
    wrapping, got = passphrase_key(passphrase, salt, parsed.scrypt_n)
    if not hmac.compare_digest(got, check):
        raise AuthnetError(Code.WRONG_PASSPHRASE, f"the passphrase does not open {FILE}")
    plain = Box(wrapping, network_id).open(FILE, sealed)
    if len(plain) != 2 * KEY_BYTES:
        raise damaged(FILE)
    return NodeKeys(plain[:KEY_BYTES], plain[KEY_BYTES:])
