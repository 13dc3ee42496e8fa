"""The registry contract's ABI: call data from names and values, values from results, names of its errors. Pure.

A struct is a mapping by field name on the way in and an object with these fields on the way out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import SimpleNamespace
from typing import Any

from eth_abi.abi import decode, encode
from eth_abi.exceptions import DecodingError

from authnet_core.crypto.hashing import keccak256

Entry = Mapping[str, Any]
"""One function, error or argument as the ABI lists it."""


@dataclass(frozen=True, slots=True)
class Call:
    """What to send to the contract at `to`; to nobody: what makes a contract."""

    name: str
    to: str
    data: bytes
    returns: tuple[Entry, ...] = ()

    def result(self, raw: bytes) -> Any:
        """The value that came back, a tuple when there are several. Raises what eth_abi does on other bytes."""
        values = decode([canonical_type(entry) for entry in self.returns], raw)
        found = tuple(_named(entry, value) for entry, value in zip(self.returns, values, strict=True))
        return found[0] if len(found) == 1 else found


@cache
def artifact() -> dict[str, Any]:
    """ABI and bytecode of the registry, as contracts/compile.mjs wrote them."""
    text = files("authnet_runtime.contracts").joinpath("registry.json").read_text()
    content: dict[str, Any] = json.loads(text)
    return content


def call(to: str, name: str, *arguments: Any) -> Call:
    """A call of the function `name`."""
    entry = _functions()[name]
    data = _selector(entry) + _encoded(entry["inputs"], arguments)
    return Call(name, to, data, tuple(entry["outputs"]))


def deployment(*arguments: Any) -> Call:
    """The contract with these arguments of its constructor."""
    entry = next(entry for entry in artifact()["abi"] if entry["type"] == "constructor")
    return Call("deploy", "", bytes.fromhex(artifact()["bytecode"]) + _encoded(entry["inputs"], arguments))


def name_revert(revert: object) -> tuple[str, tuple[Any, ...]]:
    """The contract's error and its arguments from revert bytes in hex, as a node gives them."""
    text = revert if isinstance(revert, str) else ""
    if not text.startswith("0x") or len(text) < 10:
        return "reverted", ()
    try:
        raw = bytes.fromhex(text[2:])
        name, types = _errors().get(raw[:4], ("reverted", []))
        return name, tuple(decode(types, raw[4:])) if types else ()
    except (DecodingError, ValueError, OverflowError):  # a contract that is not ours, or a node that lies
        return "reverted", ()


def canonical_type(entry: Entry) -> str:
    """An ABI type as it stands in a signature; tuples spelled out."""
    kind = str(entry["type"])
    if not kind.startswith("tuple"):
        return kind
    return "(" + ",".join(canonical_type(part) for part in entry["components"]) + ")" + kind[5:]


@cache
def _functions() -> dict[str, Entry]:
    return {str(entry["name"]): entry for entry in artifact()["abi"] if entry["type"] == "function"}


@cache
def _errors() -> dict[bytes, tuple[str, list[str]]]:
    """Selector -> (name, argument types) of every error the contract can revert with."""
    found = (entry for entry in artifact()["abi"] if entry["type"] == "error")
    return {_selector(e): (str(e["name"]), [canonical_type(part) for part in e["inputs"]]) for e in found}


def _selector(entry: Entry) -> bytes:
    types = ",".join(canonical_type(part) for part in entry["inputs"])
    return keccak256(f"{entry['name']}({types})".encode())[:4]


def _encoded(inputs: Sequence[Entry], arguments: Sequence[Any]) -> bytes:
    values = [_positional(entry, value) for entry, value in zip(inputs, arguments, strict=True)]
    return bytes(encode([canonical_type(entry) for entry in inputs], values))


def _element(entry: Entry) -> Entry | None:
    """What an array type holds, None of another type."""
    kind = str(entry["type"])
    return {**entry, "type": kind[:-2]} if kind.endswith("[]") else None


def _positional(entry: Entry, value: Any) -> Any:
    """Structs by field name to tuples by place."""
    if element := _element(entry):
        return [_positional(element, each) for each in value]
    if entry["type"] != "tuple":
        return value
    return tuple(_positional(part, value[part["name"]]) for part in entry["components"])


def _named(entry: Entry, value: Any) -> Any:
    """Tuples by place to objects with the struct's fields."""
    if element := _element(entry):
        return [_named(element, each) for each in value]
    if entry["type"] != "tuple":
        return value
    return SimpleNamespace(**{p["name"]: _named(p, v) for p, v in zip(entry["components"], value, strict=True)})
