"""`authnet chain export`, `sign` and `import`: a new chain from an old one's state, when the old one can not go on."""

from __future__ import annotations

import base64
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from authnet.commands.options import DEFAULT_DIR, Dir, Json, local_network
from authnet.output import Output, reporting
from authnet_core.errors import AuthnetError, Code, ConfigError
from authnet_runtime.rpc_once import call_once

if TYPE_CHECKING:
    from abci_app.snapshots.export_file import Header

Node = Annotated[Path | None, typer.Option("--node", help="A node's folder, in place of the local network.")]
_SLOW_S = 600.0


def _runs(dir: Path, node: Path | None) -> list[Path]:
    if node is not None:
        return [node / "run"]
    found = local_network(dir)
    return [found.node_dir(index) / "run" for index in found.indexes]


def _answers(runs: list[Path]) -> dict[Path, list[int]]:
    """Nodes that answer, with the heights they can export. Raises the last refusal when none does."""
    found: dict[Path, list[int]] = {}
    problem = AuthnetError(Code.NETWORK_DOWN, "no node answers")
    for run in runs:
        try:
            found[run] = call_once(run / "read.sock", "export_heights")
        except AuthnetError as error:
            problem = error
    if not found:
        raise problem
    return found


def _choose(heights: list[list[int]]) -> int:
    """The greatest height that most nodes still have: signatures must be of one height."""
    counts = {height: sum(height in some for some in heights) for some in heights for height in some}
    if not counts:
        raise AuthnetError(Code.HEIGHT_UNAVAILABLE, "no node has a state")
    return max(counts, key=lambda height: (counts[height], height))


def _signature(run: Path, header: Header) -> tuple[str, str]:
    asked = {"height": header.height, "app_hash": header.app_hash, "export_hash": header.hash.hex()}
    answer = call_once(run / "ops.sock", "sign_export", asked, timeout=_SLOW_S)
    return answer["identity_pub"], answer["signature"]


def _fetch(run: Path, header: Header) -> Iterator[bytes]:
    for index in range(len(header.chunks)):
        asked = {"height": header.height, "index": index}
        yield base64.b64decode(call_once(run / "read.sock", "export_chunk", asked, timeout=_SLOW_S))


def export(
    out: Annotated[Path, typer.Option("--out", help="File to write.")],
    height: Annotated[int, typer.Option(help="Height; the newest that most nodes have when left out.")] = 0,
    node: Node = None,
    dir: Dir = DEFAULT_DIR,
    json: Json = False,
) -> None:
    """Write the state that a new chain would begin with, signed by the nodes that can be reached."""
    import msgspec

    from abci_app.snapshots import export_file

    with reporting(Output(json)) as output:
        answers = _answers(_runs(dir, node))
        at = height or _choose(list(answers.values()))
        source = next((run for run, heights in answers.items() if at in heights), None)
        if source is None:
            raise AuthnetError(Code.HEIGHT_UNAVAILABLE, f"no node has the state of height {at} any more")
        told = call_once(source / "read.sock", "export", {"height": at}, timeout=_SLOW_S)
        name = told.pop("export_hash")
        header = msgspec.convert(told, export_file.Header)
        if header.hash.hex() != name:
            raise AuthnetError(Code.EXPORT_INVALID, "the node names its state otherwise than it is")
        signatures, refusals = {}, list[str]()
        for run in answers:
            try:
                identity, signature = _signature(run, header)
                signatures[identity] = signature
            except AuthnetError as error:
                refusals.append(f"{run.parent.name}: {error.message}")
        header = msgspec.structs.replace(header, signatures=signatures)
        export_file.write(out, header, _fetch(source, header))
        # What was written is what was named.
        size = sum(map(len, export_file.read_chunks(out)))
        output.result(
            {
                "file": str(out),
                "chain_id": header.chain_id,
                "height": header.height,
                "app_hash": header.app_hash,
                "export_hash": name,
                "signatures": len(signatures),
                "refusals": refusals,
                "bytes": size,
            }
        )


def sign(
    file: Annotated[Path, typer.Argument(metavar="FILE")],
    node: Annotated[Path, typer.Option("--node", help="Folder of the node whose keeper signs.")] = Path(),
    json: Json = False,
) -> None:
    """Add this node's signature to an export, if its own chain says the same."""
    import msgspec

    from abci_app.snapshots import export_file

    with reporting(Output(json)) as output:
        header = export_file.read_header(file)
        identity, signature = _signature(node / "run", header)
        header = msgspec.structs.replace(header, signatures={**header.signatures, identity: signature})
        export_file.write(file, header, export_file.read_chunks(file))
        output.result({"file": str(file), "signatures": len(header.signatures)})


def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE")],
    out: Annotated[Path | None, typer.Option("--out", help="Write genesis.json here.")] = None,
    node: Annotated[Path | None, typer.Option("--node", help="Take this stopped node to the new chain.")] = None,
    json: Json = False,
) -> None:
    """Check an export in full and make the genesis of the chain that goes on from it."""
    from authnet.moving import begin, take_node

    with reporting(Output(json)) as output:
        try:
            with tempfile.TemporaryDirectory(prefix="authnet-import-") as scratch:
                made = begin(file, Path(scratch))
            if out is not None:
                out.write_bytes(made.genesis)
                shutil.copyfile(file, out.with_name("genesis.export"))
            batches = take_node(node, file, made) if node is not None else 0
        except OSError as error:
            raise ConfigError(f"{file}: {error.strerror}: {error.filename}") from None
        output.result({**made.summary, "batches": batches} if node is not None else made.summary)
