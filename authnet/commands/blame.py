"""`authnet blame ...`: who the chain convicted in key generations and resharings, and whether evidence of it holds."""

from __future__ import annotations

import json as jsonlib
from pathlib import Path
from typing import Annotated, Any

import typer

from authnet.commands.options import DEFAULT_DIR, Dir, Json, local_network
from authnet.output import SCHEMA, Output, printable, reporting
from authnet_core.errors import AuthnetError, Code
from localnet.discovery import ask_chain

PAGE = 20
COLUMNS = ("number", "epoch", "convict", "accuser", "sid", "height", "reason")

app = typer.Typer(help="Convicted members and the evidence.", no_args_is_help=True)


def register(parent: typer.Typer) -> None:
    parent.add_typer(app, name="blame")


@app.command()
def show(
    number: Annotated[int, typer.Option(min=-1, help="One conviction, with its evidence; all when left out.")] = -1,
    out_file: Annotated[Path | None, typer.Option("--out", help="Write the evidence of --number to this file.")] = None,
    dir: Dir = DEFAULT_DIR,
    json: Json = False,
) -> None:
    """Convictions on the chain: number, epoch, convict, accuser, sid, height, reason."""
    with reporting(Output(json)) as out:
        found = local_network(dir)
        if number < 0:
            if out_file is not None:
                raise AuthnetError(Code.BAD_PARAMS, "--out needs --number")
            _show_all(out, _pages(found))
            return
        view = ask_chain(found, f"/blame/{number}")
        if out_file is not None:
            _write(out_file, view["evidence"])
            out.note(f"evidence written to {out_file}; check it anywhere: authnet blame verify {out_file}")
        if out.json:
            out.emit({"schema": SCHEMA, **view})
            return
        out.fields(f"conviction {number}", {name: view[name] for name in COLUMNS})


def _pages(found: Any) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    while len(page := ask_chain(found, f"/blame/{len(rows)}/{PAGE}")) == PAGE:
        rows += page
    return rows + list(page)


def _show_all(out: Output, rows: list[dict[str, Any]]) -> None:
    if out.json:
        out.emit([{name: row[name] for name in COLUMNS} for row in rows])
        return
    if not rows:
        out.note("nobody was convicted")
    out.table("", COLUMNS, [[str(row[name])[:60] for name in COLUMNS] for row in rows])


def _write(path: Path, evidence: Any) -> None:
    try:
        path.write_text(jsonlib.dumps(evidence, indent=1) + "\n")
    except OSError as error:
        raise AuthnetError(Code.BAD_PARAMS, f"{path} can not be written: {error.strerror}") from None


@app.command()
def verify(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Evidence, as `blame show --out` writes it.")],
    json: Json = False,
) -> None:
    """Judge evidence again, offline: exit 0 and who is convicted, or 1 if it does not hold.

    It is about the committee whose hash is shown: compare that, or the convict's identity key, with the registry.
    """
    with reporting(Output(json)) as out:
        from authnet_core.wire import blame

        verdict = blame.verify(_read(file, blame.MAX_BYTES))
        fields = {
            "convict": verdict.convict,
            "identity": verdict.identity.hex(),
            "role": "dealer" if verdict.upheld else "complainer",
            "accuser": verdict.accuser,
            "reason": verdict.reason,
            "chain_id": verdict.chain_id,
            "epoch": verdict.epoch,
            "committee_hash": verdict.committee_hash.hex(),
            "sid": verdict.sid.hex(),
        }
        if out.json:
            out.emit({"schema": SCHEMA, "holds": True, **fields})
            return
        out.fields("the evidence holds", {**fields, "chain_id": printable(verdict.chain_id)})


def _read(path: Path, limit: int) -> bytes:
    """At most one byte more than evidence may have."""
    try:
        with path.open("rb") as file:
            return file.read(limit + 1)
    except OSError as error:
        raise AuthnetError(Code.BAD_PARAMS, f"{path} can not be read: {error.strerror}") from None
