"""The registry contract's answer to getNodeSet, encoded as Solidity does."""

from __future__ import annotations

from authnet_core.crypto.secp256k1 import decompress


def word(value: int) -> bytes:
    return value.to_bytes(32, "big")


def abi_node_set(epoch: int, endpoints: list[str], points: list[bytes]) -> bytes:
    """getNodeSet's (uint256, string[], uint256[], uint256[], uint256[]) as Solidity encodes it."""
    xys = [decompress(point) for point in points]
    columns = [
        [int.from_bytes(xy[:32], "big") for xy in xys],
        [int.from_bytes(xy[32:], "big") for xy in xys],
        list(range(1, len(xys) + 1)),
    ]
    texts = [word(len(e)) + e.encode() + bytes(-len(e) % 32) for e in endpoints]
    offsets, at = [], 32 * len(texts)
    for text in texts:
        offsets.append(at)
        at += len(text)
    parts = [word(len(texts)) + b"".join(map(word, offsets)) + b"".join(texts)]
    parts += [word(len(column)) + b"".join(map(word, column)) for column in columns]
    head, at = [word(epoch)], 32 * 5
    for part in parts:
        head.append(word(at))
        at += len(part)
    return b"".join(head + parts)
