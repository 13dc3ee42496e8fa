"""`authnet login VERIFIER ID`: get an account's key with a token of its identity provider."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from authnet.commands.sdk import PATIENCE_S, trusted_network, with_client
from authnet.output import Output, printable, reporting
from authnet_core.errors import AuthnetError, Code

if TYPE_CHECKING:
    from authnet_client import Client, LoginOutcome

_FIELDS = ("address", "Y", "N", "final_pub", "rounds")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("login")(login)


def login(
    verifier: Annotated[str, typer.Argument(help="Name of the identity provider's record.")],
    verifier_id: Annotated[str, typer.Argument(metavar="ID", help="The user's id there, e.g. an e-mail.")],
    token: Annotated[str, typer.Option("--token", help="A token, or - for stdin; fetched on a local network.")] = "",
    two_round: Annotated[bool, typer.Option("--two-round", help="Receipts first, then the token.")] = False,
    show_key: Annotated[bool, typer.Option("--show-key", help="Print the private key.")] = False,
    dir: Annotated[Path, typer.Option("--dir", help="Folder of the local network.")] = Path(".localnet"),
    network: Annotated[Path | None, typer.Option("--network", help="A network.json instead.")] = None,
    timeout: Annotated[float, typer.Option("--timeout", help="Seconds to wait for a node.")] = 20.0,
    json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """Log in. One round with a token bound to this session; two with --two-round or a ready-made token."""
    with reporting(Output(json)) as out:
        trusted = trusted_network(dir, network)
        given = _read_token(token)

        async def work(client: Client) -> LoginOutcome:
            source = given or client.dev_tokens(verifier, verifier_id)
            rounds = 2 if two_round or given else 1
            return await client.login(verifier, verifier_id, source, rounds=rounds, patience_s=PATIENCE_S)

        show(out, with_client(trusted, work, timeout), show_key=show_key)


def _read_token(token: str) -> str:
    """A token on the command line shows in the process list; `-` reads it from stdin."""
    if token != "-":
        return token
    import sys

    text = sys.stdin.readline(20_000).strip()
    if not text:
        raise AuthnetError(Code.TOKEN_MALFORMED, "there is no token on stdin")
    return text


def as_object(done: LoginOutcome, *, show_key: bool) -> dict[str, Any]:
    """The fields of `--json`."""
    fields: dict[str, Any] = {name: getattr(done, name) for name in _FIELDS}
    fields["nodes"] = [{"index": n.index, "ok": n.ok, "code": n.code, "ms": n.ms} for n in done.nodes]
    fields["bad_nodes"] = done.bad_nodes
    fields["session_tokens"] = [
        {"index": t.index, "token": t.token, "sig": t.signature, "exp_s": t.expires_s} for t in done.session_tokens
    ]
    fields["ms"] = done.ms
    return fields | ({"private_key": done.private_key} if show_key else {})


def show(out: Output, done: LoginOutcome, *, show_key: bool) -> None:
    """Print a login."""
    if out.json:
        out.emit(as_object(done, show_key=show_key))
        return
    fields: dict[str, Any] = {
        "address": done.address,
        "public key": done.final_pub,
        "login": f"{'one round' if done.rounds == 1 else 'two rounds'}, {done.ms:.0f} ms, "
        f"{len(done.session_tokens)} session tokens",
    }
    if show_key:
        fields["private key"] = done.private_key
    out.fields("", fields)
    rows = [(n.index, "ok" if n.ok else n.code, f"{n.ms:.0f} ms", printable(n.message)) for n in done.nodes]
    if out.is_rich or done.bad_nodes:
        out.table("", ("node", "answer", "time", ""), rows)
