"""`authnet chain diff A B`: the first height and the keys of the state in which two nodes, or two exports, differ."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from authnet.commands.options import DEFAULT_DIR, Dir, Json, node_run
from authnet.output import Output, reporting
from authnet_core.errors import AuthnetError, Code, ConfigError
from authnet_runtime.rpc_once import call_once, query_once

MOST_KEYS = 100
Blocks = dict[int, dict[str, Any]]
Place = Annotated[str, typer.Argument(metavar="A", help="An export, a node's folder, or its number in the localnet.")]


def diff(
    first: Place,
    second: Annotated[str, typer.Argument(metavar="B")],
    dir: Dir = DEFAULT_DIR,
    json: Json = False,
) -> None:
    """Where two states part: the first height, and the keys. Exit code 1 if they do."""
    with reporting(Output(json)) as output:
        are_files = [Path(place).is_file() for place in (first, second)]
        if any(are_files) and not all(are_files):
            raise ConfigError("diff: compare two exports, or two nodes")
        if all(are_files):
            found = compare_exports(Path(first), Path(second))
        else:
            found = compare_nodes(*(_journal_of(place, dir) for place in (first, second)))
        output.result(found)
        if not found["same"]:
            raise typer.Exit(1)


class Journal:
    """What a running node, or a stopped one's folder, wrote down about its last blocks."""

    def __init__(self, run: Path) -> None:
        self._run = run

    def newest(self) -> int:
        """Its height."""
        if self._runs:
            return int(query_once(self._run / "read.sock", "/status")["height"])
        return max(self._read(0), default=0)

    @property
    def _runs(self) -> bool:
        return (self._run / "read.sock").exists()

    def blocks(self, first: int) -> Blocks:
        """Some blocks from `first` on, by height."""
        if not self._runs:
            return self._read(first)
        page = call_once(self._run / "read.sock", "journal", {"first": first}, timeout=60.0)
        return {block["height"]: block for block in page}

    def _read(self, first: int) -> Blocks:
        from abci_app.faults import Faults
        from abci_app.state import journal
        from abci_app.state.store import Store

        folder = self._run.parent / "abci"
        if not (folder / "CURRENT").exists():
            raise AuthnetError(Code.UNAVAILABLE, f"{self._run.parent} has no chain")
        store = Store(folder, Faults())
        try:
            start = first or max(1, store.meta.height - journal.KEPT + 1)
            found: Blocks = {}
            while page := journal.read(store, start):
                found |= {block["height"]: block for block in page}
                start = page[-1]["height"] + 1
            return found
        finally:
            store.close()


def _journal_of(place: str, dir: Path) -> Journal:
    if place.isdigit():
        return Journal(node_run(dir, int(place)))
    if not (Path(place) / "node.toml").exists():
        raise ConfigError(f"diff: {place} is no export, no node's folder and no number")
    return Journal(Path(place) / "run")


def compare_nodes(one: Journal, other: Journal) -> dict[str, Any]:
    """Block by block over the heights that both still remember."""
    from abci_app.state.journal import KEPT

    last = min(one.newest(), other.newest())
    at = max(1, last - KEPT + 1)
    compared = 0
    while at <= last:
        mine, theirs = one.blocks(at), other.blocks(at)
        both = sorted(mine.keys() & theirs.keys())
        for height in both:
            compared += 1
            if (mine[height]["app_hash"], mine[height]["digest"]) != (
                theirs[height]["app_hash"],
                theirs[height]["digest"],
            ):
                return _parted(height, mine[height], theirs[height], is_first=compared == 1)
        at = (both[-1] if both else max([at, *mine, *theirs])) + 1
    if not compared:
        raise AuthnetError(Code.HEIGHT_UNAVAILABLE, "the nodes remember no height that both have")
    return {"same": True, "height": last, "compared": compared}


def _parted(height: int, mine: dict[str, Any], theirs: dict[str, Any], *, is_first: bool) -> dict[str, Any]:
    a, b = dict(mine["changes"]), dict(theirs["changes"])
    keys = [key for key in sorted(a.keys() | b.keys()) if a.get(key) != b.get(key)]
    return {
        "same": False,
        "height": height,
        # Equal changes under unequal hashes: they parted before what is remembered.
        "parted_before": is_first and not keys,
        "app_hashes": [mine["app_hash"], theirs["app_hash"]],
        "differing": len(keys),
        "keys": [name_of(bytes.fromhex(key)) for key in keys[:MOST_KEYS]],
    }


def compare_exports(one: Path, other: Path) -> dict[str, Any]:
    """Key by key, if they are of one height."""
    from abci_app.snapshots import export_file

    first, second = export_file.read_header(one), export_file.read_header(other)
    if (first.chain_id, first.height) != (second.chain_id, second.height):
        text = f"{first.chain_id} at {first.height} and {second.chain_id} at {second.height} are not comparable"
        raise AuthnetError(Code.EXPORT_INVALID, text)
    keys = list(_differing(_entries(one), _entries(other)))
    return {
        "same": not keys and first.app_hash == second.app_hash,
        "height": first.height,
        "app_hashes": [first.app_hash, second.app_hash],
        "differing": len(keys),
        "keys": [name_of(key) for key in keys[:MOST_KEYS]],
    }


def _entries(path: Path) -> Iterator[tuple[bytes, bytes]]:
    from abci_app.snapshots import export_file

    for found in export_file.read_entries(path):
        yield from found


def _differing(one: Iterator[tuple[bytes, bytes]], other: Iterator[tuple[bytes, bytes]]) -> Iterator[bytes]:
    """Keys whose values differ in two rows that are in order, or that only one has."""
    a, b = next(one, None), next(other, None)
    while a is not None or b is not None:
        if b is None or (a is not None and a[0] < b[0]):
            assert a is not None
            yield a[0]
            a = next(one, None)
        elif a is None or b[0] < a[0]:
            yield b[0]
            b = next(other, None)
        else:
            if a[1] != b[1]:
                yield a[0]
            a, b = next(one, None), next(other, None)


_BULK = {b"k": "pool key", b"p": "key path", b"y": "key by public key", b"x": "session start", b"r": "replay id"}


def name_of(key: bytes) -> str:
    """A LevelDB key for people: the table, and the rest in hex unless it is text."""
    if key[:1] != b"s":
        return f"{_BULK.get(key[:1], key[:1].hex())} {key[1:].hex()}"
    head, slash, rest = key[1:].partition(b"/")
    is_text = rest.isascii() and rest.decode("ascii", "replace").isprintable()
    return head.decode(errors="replace") + slash.decode() + (rest.decode() if is_text else rest.hex())
