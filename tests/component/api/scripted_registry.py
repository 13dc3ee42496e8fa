"""The registry contract's answers to getNodeSet and getEpoch, encoded as Solidity does."""

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


def get_epoch(number: int) -> str:
    """The call data of getEpoch."""
    return f"0x12a02c82{number:064x}"


def _text(content: bytes) -> bytes:
    return word(len(content)) + content + bytes(-len(content) % 32)


def _dynamic(parts: list[bytes]) -> bytes:
    """Offsets, then what they point at."""
    offsets, at = [], 32 * len(parts)
    for part in parts:
        offsets.append(word(at))
        at += len(part)
    return b"".join(offsets) + b"".join(parts)


def abi_epoch(epoch: int, previous: int, endpoints: list[str], points: list[bytes]) -> bytes:
    """getEpoch's EpochView: eleven words, then operators and members."""
    members = []
    for endpoint, point in zip(endpoints, points, strict=True):
        xy = decompress(point)
        texts = [_text(b"peer"), _text(b"/ip4/1.2.3.4/tcp/5"), _text(b"1.2.3.4:6"), _text(endpoint.encode())]
        at, offsets = 8 * 32, []
        for text in texts:
            offsets.append(word(at))
            at += len(text)
        comet_id = bytes(20) + bytes(12)
        head = [xy[:32], xy[32:], bytes(32), offsets[0], comet_id, *offsets[1:]]
        members.append(word(0xEE) + word(64) + b"".join(head + texts))
    n = len(endpoints)
    operators = word(n) + word(0xEE) * n
    fixed = [word(value) for value in (epoch, n, n // 2 + 1, 1, previous, 0, 0, 2, 1, 1_700_000_000, 9)]
    body = b"".join(fixed) + word(13 * 32) + word(13 * 32 + len(operators)) + operators + word(n) + _dynamic(members)
    return word(32) + body
