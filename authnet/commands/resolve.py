"""`authnet resolve VERIFIER ID`: the address of an account, before or after its first login."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from authnet.commands.sdk import PATIENCE_S, trusted_network, with_client
from authnet.output import Output, reporting

if TYPE_CHECKING:
    from authnet_client import Client, Resolution

_FIELDS: tuple[str, ...] = ("verifier", "id", "account_id", "key_index", "Y", "N", "final_pub", "address", "is_new")
_FIELDS += ("height", "agreed", "disagreed", "ms")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("resolve")(resolve)


def resolve(
    verifier: Annotated[str, typer.Argument(help="Name of the identity provider's record.")],
    verifier_id: Annotated[str, typer.Argument(metavar="ID", help="The user's id there, e.g. an e-mail.")],
    dir: Annotated[Path, typer.Option("--dir", help="Folder of the local network.")] = Path(".localnet"),
    network: Annotated[Path | None, typer.Option("--network", help="A network.json instead.")] = None,
    no_assign: Annotated[bool, typer.Option("--no-assign", help="Do not give a new account a key.")] = False,
    timeout: Annotated[float, typer.Option("--timeout", help="Seconds to wait for a node.")] = 20.0,
    json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """Look an account's address up. A new account gets its key now."""
    with reporting(Output(json)) as out:
        trusted = trusted_network(dir, network)

        async def work(client: Client) -> Resolution:
            return await client.resolve(verifier, verifier_id, assign=not no_assign, patience_s=PATIENCE_S)

        show(out, with_client(trusted, work, timeout))


def as_object(found: Resolution) -> dict[str, Any]:
    """The fields of `--json`."""
    return {name: getattr(found, name) for name in _FIELDS}


def show(out: Output, found: Resolution) -> None:
    """Print a resolution."""
    if out.json:
        out.emit(as_object(found))
        return
    out.fields(
        "",
        {
            "address": found.address,
            "public key": found.final_pub,
            "key": f"{found.key_index} ({'new' if found.is_new else 'known'}), height {found.height}",
            "nodes": _nodes(found),
            "time": f"{found.ms:.0f} ms",
        },
    )


def _nodes(found: Resolution) -> str:
    agreed = f"{', '.join(map(str, found.agreed))} agree"
    return f"{agreed}; {', '.join(map(str, found.disagreed))} DISAGREE" if found.disagreed else agreed
