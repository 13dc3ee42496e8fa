"""`authnet localnet ...`: a whole network on this machine, for developers and tests."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from authnet.commands import chaos
from authnet.commands.options import DEFAULT_DIR, Dir, Json, NodeIndex, ask_daemon, local_network
from authnet.output import Output, reporting
from authnet_core.errors import AuthnetError, Code, ConfigError
from localnet import lifecycle
from localnet.places import DEFAULT_NODES, DEFAULT_PORT

app = typer.Typer(help="A whole network on this machine.", no_args_is_help=True)


def register(parent: typer.Typer) -> None:
    chaos.register(app)
    parent.add_typer(app, name="localnet")


@app.command()
def up(
    nodes: Annotated[int | None, typer.Option(help=f"5, 6 or 9; {DEFAULT_NODES} for a new network.")] = None,
    base_port: Annotated[int | None, typer.Option(help=f"First port; {DEFAULT_PORT} for a new network.")] = None,
    proxied: Annotated[bool, typer.Option(help="Put proxies between the nodes, for `chaos`.")] = False,
    dir: Dir = DEFAULT_DIR,
    json: Json = False,
) -> None:
    """Start (or resume) the network in --dir; returns when it can log a user in."""
    from authnet.commands.welcome import Board, welcome

    with reporting(Output(json)) as out:
        folder = dir.resolve()
        with lifecycle.alone(folder):
            if lifecycle.daemon_pid(folder):
                places = local_network(folder)
                if not json:
                    sys.stderr.write(f"the network in {folder} is running already\n")
                if (found := ask_daemon(folder, "status"))["ready"]:
                    welcome(out, found)
                    return
            else:
                places = lifecycle.choose(folder, nodes, base_port, proxied=proxied)
                lifecycle.start_daemon(places)
            try:
                with Board(quiet=json) as board:
                    for step in lifecycle.follow(places):
                        board.show(step)
            except KeyboardInterrupt:
                lifecycle.down(folder)
                raise
            welcome(out, ask_daemon(folder, "status"))


@app.command()
def down(dir: Dir = DEFAULT_DIR) -> None:
    """Stop it; the folder stays, and `up` resumes the same network."""
    with reporting(Output()) as out:
        ran = lifecycle.down(dir)
        out.note("stopped" if ran else "nothing was running")


@app.command()
def status(dir: Dir = DEFAULT_DIR, json: Json = False) -> None:
    """Nodes, pool, and how many nodes may still be lost."""
    from authnet.commands.status import show

    with reporting(Output(json)) as out:
        show(out, ask_daemon(dir, "status"))


@app.command()
def logs(
    node: Annotated[int | None, typer.Argument(help="Node, 1 to n; all when left out.")] = None,
    process: Annotated[str, typer.Argument(help="One process of the node.")] = "",
    lines: Annotated[int, typer.Option("-n", help="Newest lines of each log.")] = 20,
    dir: Dir = DEFAULT_DIR,
) -> None:
    """The newest lines of the processes' logs."""
    with reporting(Output()):
        found = local_network(dir)
        folders = [found.node_dir(i) / "logs" for i in ([node] if node else found.indexes)]
        if node is None:
            folders.append(found.logs)
        paths = sorted(p for folder in folders for p in folder.glob(f"{process or '*'}.log"))
        if not paths:
            raise ConfigError(f"no log of {process or 'a process'} at {f'node {node}' if node else 'any node'}")
        for path in paths:
            sys.stdout.write(f"==> {path}\n")
            sys.stdout.write("".join(f"{line}\n" for line in path.read_text(errors="replace").splitlines()[-lines:]))


@app.command()
def kill(
    node: NodeIndex,
    process: Annotated[str, typer.Argument(help="Kill this process only; it comes back.")] = "",
    dir: Dir = DEFAULT_DIR,
    json: Json = False,
) -> None:
    """kill -9 a node, which stays down until `start`, or one of its processes."""
    with reporting(Output(json)) as out:
        answer = ask_daemon(dir, "kill", {"node": node, "process": process})
        _say(out, answer, f"node {node}{f' {process}' if process else ''}: killed {len(answer['killed'])} process(es)")


@app.command()
def start(
    node: NodeIndex,
    env: Annotated[list[str] | None, typer.Option(help="PROC:NAME=VALUE for PROC's first start.")] = None,
    dir: Dir = DEFAULT_DIR,
    json: Json = False,
) -> None:
    """Start a node that was killed."""
    with reporting(Output(json)) as out:
        _say(out, ask_daemon(dir, "start", {"node": node, "env": env or []}), f"node {node} is starting")


@app.command()
def token(
    verifier: Annotated[str, typer.Argument()],
    verifier_id: Annotated[str, typer.Argument(metavar="ID")],
    exp_in: Annotated[int, typer.Option(help="Seconds until it expires; may be negative.")] = 120,
    bad: Annotated[bool, typer.Option("--bad", help="Signed by a key nobody published.")] = False,
    nonce: Annotated[str, typer.Option(help="Bind it to a session; audience of mode bound.")] = "",
    aud: Annotated[str, typer.Option(help="Another audience.")] = "",
    alg: Annotated[str, typer.Option(help="RS256, ES256, none or HS256-pub.")] = "RS256",
    kid: Annotated[str, typer.Option(help="Another key id in the header.")] = "",
    set_claims: Annotated[list[str] | None, typer.Option("--set", help="claim=JSON; null leaves it out.")] = None,
    dir: Dir = DEFAULT_DIR,
    json: Json = False,
) -> None:
    """A token of the local identity provider, good or bad."""
    with reporting(Output(json)) as out:
        from localnet.idp import Provider, TokenWish, parse_claims

        found = local_network(dir)
        if not (found.idp / "key.pem").exists():
            raise AuthnetError(Code.NETWORK_DOWN, "the identity provider has no key yet; start the network first")
        claims = parse_claims(set_claims or [])
        wish = TokenWish(verifier, verifier_id, exp_in, bad, nonce, aud, alg, kid, claims)
        signed = Provider(found.idp, found.front).token(wish)
        _say(out, {"id_token": signed}, signed)


@app.command()
def rotate(
    nodes: Annotated[int, typer.Option(help="5, 6 or 9; as many as now when left out.")] = 0,
    overlap: Annotated[int, typer.Option(help="How many of the present nodes stay.")] = 0,
    refresh: Annotated[bool, typer.Option("--refresh", help="The same nodes, with new shares.")] = False,
    notice_s: Annotated[int, typer.Option(help="Seconds between announcement and hand-over.")] = 0,
    keep_old: Annotated[bool, typer.Option("--keep-old", help="Leave the former nodes running.")] = False,
    wait_s: Annotated[float, typer.Option(help="Give up waiting after so many seconds; 0: do not wait.")] = 900.0,
    dir: Dir = DEFAULT_DIR,
    json: Json = False,
) -> None:
    """Hand over to a new committee; returns when it serves. Keys and addresses stay."""
    from authnet.commands.rotate import run

    with reporting(Output(json)) as out:
        wish = {"nodes": nodes, "overlap": overlap, "refresh": refresh, "notice_s": notice_s, "keep_old": keep_old}
        run(out, dir, wish, wait_s)


@app.command("rotate-keys")
def rotate_keys(dir: Dir = DEFAULT_DIR, json: Json = False) -> None:
    """Give the identity provider new signing keys; the former ones stay in its JWKS."""
    with reporting(Output(json)) as out:
        answer = ask_daemon(dir, "rotate_keys")
        _say(out, answer, "key ids now: " + ", ".join(answer["kids"]))


def _say(out: Output, answer: Any, text: str) -> None:
    if out.json:
        out.emit(answer)
    else:
        typer.echo(text)
