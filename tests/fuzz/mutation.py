"""One way to spoil valid bytes, for every decoder: by structure (protobuf, JSON, text) and by plain bytes.

All choices come from one function `choose(low, high)`, so that Hypothesis can shrink them and a coverage-guided engine
can steer them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

Choose = Callable[[int, int], int]
LIMIT = 1 << 17
_EDGES = (0x00, 0x01, 0x7F, 0x80, 0xC0, 0xFE, 0xFF)
_HUGE_VARINTS = (b"\xff" * 9 + b"\x01", b"\xff" * 10, b"\xff\xff\xff\xff\x0f", b"\x80" * 5 + b"\x00", b"\x80\x00")
_DEEP = 3_000
_ODD_JSON: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    2**31,
    2**53,
    2**64,
    2**80,
    -(2**63) - 1,
    1.5,
    1e308,
    "",
    "0",
    "00",
    "x" * 300,
    "\x00",
    "\ud800",
    "é",
    "１",
    [],
    {},
    [[]],
    {"": {}},
    "02" + "00" * 32,
    "ff" * 33,
)
_ODD_TEXT = ("", "\x00", "\x1c", "\n", " ", "é", "１", "\u202e", "-1", "0", "00", "9" * 30, "0x", *'{["=.#')


@dataclass(frozen=True, slots=True)
class _Field:
    """One field of a protobuf message: where it lies and what it carries."""

    start: int
    body: int
    end: int
    kind: int


def _varint(raw: bytes, at: int) -> tuple[int, int] | None:
    value = shift = 0
    while at < len(raw) and shift < 70:
        byte = raw[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
    return None


def varint(value: int) -> bytes:
    """Protobuf's encoding of a number."""
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def fields(raw: bytes) -> list[_Field]:
    """The fields if the bytes read as a protobuf message, else nothing."""
    found, at = [], 0
    while at < len(raw):
        tag = _varint(raw, at)
        if tag is None or tag[0] >> 3 == 0:
            return []
        kind, body = tag[0] & 7, tag[1]
        size = _varint(raw, body) if kind in (0, 2) else None
        if kind == 0 and size is not None:
            end = size[1]
        elif kind == 2 and size is not None:
            body, end = size[1], size[1] + size[0]
        elif kind in (1, 5):
            end = body + (8 if kind == 1 else 4)
        else:
            return []
        if end > len(raw):
            return []
        found.append(_Field(at, body, end, kind))
        at = end
    return found


def _spoil_field(choose: Choose, raw: bytes, field: _Field) -> bytes:
    whole, content = raw[field.start : field.end], raw[field.body : field.end]
    tag = _varint(raw, field.start) or (0, field.start)
    head = raw[field.start : tag[1]]
    others = (
        b"",
        whole + whole,
        head + varint(len(content) + choose(1, 5)) + content,
        head + varint(max(len(content) - choose(1, 5), 0)) + content,
        head + _HUGE_VARINTS[choose(0, len(_HUGE_VARINTS) - 1)] + content,
        varint(tag[0] ^ choose(1, 7)) + raw[tag[1] : field.end],
        varint((choose(1, 40) << 3) | 2) + varint(len(content)) + content,
        whole + varint((99 << 3) | 2) + b"\x01x",
        head + varint(0) if field.kind == 2 else head + b"\x00",
        _HUGE_VARINTS[choose(0, len(_HUGE_VARINTS) - 1)] + whole,
        whole + b"\x0b" * choose(1, 200),  # groups that are opened and never closed
    )
    return others[choose(0, len(others) - 1)]


def _spoil_protobuf(choose: Choose, raw: bytes) -> bytes:
    found = fields(raw)
    if not found:
        return spoil_bytes(choose, raw, ())
    field = found[choose(0, len(found) - 1)]
    if field.kind == 2 and field.end > field.body and choose(0, 2):
        # A level deeper; the lengths around stay true, so that the decoder gets there.
        tag = _varint(raw, field.start) or (0, field.start)
        inner = _spoil_protobuf(choose, raw[field.body : field.end])
        changed = raw[field.start : tag[1]] + varint(len(inner)) + inner
    else:
        changed = _spoil_field(choose, raw, field)
    return raw[: field.start] + changed + raw[field.end :]


def _spoil_value(choose: Choose, value: Any) -> Any:
    if isinstance(value, dict) and value and choose(0, 5):
        name = sorted(value)[choose(0, len(value) - 1)]
        if not choose(0, 4):
            return {key: inner for key, inner in value.items() if key != name}
        return value | {name: _spoil_value(choose, value[name])}
    if isinstance(value, list) and value and choose(0, 5):
        place = choose(0, len(value) - 1)
        return [*value[:place], _spoil_value(choose, value[place]), *value[place + (1 if choose(0, 4) else 0) :]]
    if isinstance(value, str) and choose(0, 1):
        return _spoil_text(choose, value)
    return _ODD_JSON[choose(0, len(_ODD_JSON) - 1)]


def _spoil_json(choose: Choose, raw: bytes) -> bytes:
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError):
        return spoil_bytes(choose, raw, ())
    match choose(0, 7):
        case 0:
            return spoil_bytes(choose, raw, ())
        case 1:
            return raw[:-1] + b"," + raw[1:] if raw[:1] == b"{" else raw + raw  # every name twice
        case 2:
            opening, closing = (b"[", b"]") if choose(0, 1) else (b'{"a":', b"}")
            return raw.replace(b":", b":" + opening * _DEEP + b"1" + closing * choose(0, 1) * _DEEP + b',"z":', 1)
    return json.dumps(_spoil_value(choose, value)).encode("utf-8", "surrogatepass")


def _spoil_text(choose: Choose, text: str) -> str:
    at = choose(0, len(text))
    cut = choose(0, min(3, len(text) - at))
    return text[:at] + _ODD_TEXT[choose(0, len(_ODD_TEXT) - 1)] + text[at + cut :]


def spoil_bytes(choose: Choose, raw: bytes, others: Sequence[bytes]) -> bytes:
    """Flip, set, cut, repeat, insert, truncate or splice."""
    at = choose(0, max(len(raw) - 1, 0))
    size = choose(0, min(64, len(raw) - at))
    part = raw[at : at + size]
    match choose(0, 7):
        case 0 if raw:
            return raw[:at] + bytes([raw[at] ^ (1 << choose(0, 7))]) + raw[at + 1 :]
        case 1 if raw:
            return raw[:at] + bytes([_EDGES[choose(0, len(_EDGES) - 1)]]) + raw[at + 1 :]
        case 2:
            return raw[:at] + raw[at + size :]
        case 3:
            return raw[:at] + part * choose(2, 40) + raw[at + size :]
        case 4:
            return raw[:at] + bytes(_EDGES[choose(0, len(_EDGES) - 1)] for _ in range(choose(1, 9))) + raw[at:]
        case 5:
            return raw[:at]
        case 6 if others:
            other = others[choose(0, len(others) - 1)]
            return raw[:at] + other[choose(0, len(other)) :]
    return raw + part


def spoil(choose: Choose, seeds: Sequence[bytes], shape: str) -> bytes:
    """A seed, spoilt up to three times; now and then as it is."""
    raw = seeds[choose(0, len(seeds) - 1)]
    for _ in range(choose(0, 3)):
        if shape == "protobuf" and choose(0, 3):
            raw = _spoil_protobuf(choose, raw)
        elif shape == "json" and choose(0, 3):
            raw = _spoil_json(choose, raw)
        elif shape == "text" and choose(0, 3):
            raw = _spoil_text(choose, raw.decode("utf-8", "replace")).encode("utf-8", "surrogatepass")
        else:
            raw = spoil_bytes(choose, raw, seeds)
    return raw[:LIMIT]


@st.composite
def spoilt(draw: st.DrawFn, seeds: Sequence[bytes], shape: str) -> bytes:
    """The same as a Hypothesis strategy."""
    return spoil(lambda low, high: draw(st.integers(low, high)) if high > low else low, seeds, shape)
