"""`authnet epoch ...`: how a hand-over stands, and the registry owner's side of it."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path
from string import hexdigits
from typing import Annotated, Any

import typer

from authnet.commands.options import DEFAULT_DIR, Dir, Json, local_network, node_run
from authnet.output import SCHEMA, Output, reporting
from authnet_core.errors import AuthnetError, Code, ConfigError
from authnet_core.protocol.committee import SUPPORTED_SIZES, Committee
from authnet_runtime.rpc_once import call_once, query_once
from localnet.discovery import ask_chain

NOTICE_S = 7 * 86_400
WATCH_S = 1.0
REJECT_S = 20.0
MANAGER_S = 3.0
NodeToml = Annotated[Path | None, typer.Option("--node", help="A node's node.toml instead of a local network.")]
Rpc = Annotated[str, typer.Option(help="Ethereum JSON-RPC URL; the local network's when left out.")]
Address = Annotated[str, typer.Option("--registry", help="Address of the registry contract.")]
Key = Annotated[Path | None, typer.Option("--key", help="File with the owner's Ethereum key, 32 bytes in hex.")]

app = typer.Typer(help="Committees, and the hand-over from one to the next.", no_args_is_help=True)


def register(parent: typer.Typer) -> None:
    parent.add_typer(app, name="epoch")


@app.command()
def status(
    watch: Annotated[bool, typer.Option("--watch", help="Again and again until no hand-over is under way.")] = False,
    node: NodeToml = None,
    dir: Dir = DEFAULT_DIR,
    json: Json = False,
) -> None:
    """Phase, readiness node by node, dealers and receivers of each batch, pace, and who holds it up."""
    from authnet.commands.epoch_view import is_under_way, look, show

    samples: list[tuple[int, int]] = []
    with reporting(Output(json)) as out:
        while True:
            found = look(lambda path: _ask(path, dir, node), samples, _registry(dir, node))
            if watch and out.is_rich:
                sys.stdout.write("\x1b[H\x1b[2J")
            if out.json:
                out.emit(found)
            else:
                show(out, found)
            if not watch or not is_under_way(found):
                return
            time.sleep(WATCH_S)


@app.command()
def selftest(node: NodeToml = None, dir: Dir = DEFAULT_DIR, json: Json = False) -> None:
    """Open sampled keys under random k-subsets of the present shares, in the exponent: no key is rebuilt anywhere."""
    import msgspec

    from localnet.selftest import ask_keeper, ask_members

    with reporting(Output(json)) as out:
        if node is not None:
            found = ask_keeper(node.resolve().parent / "run")
        else:
            found = ask_members(local_network(dir), _ask("/epoch/current", dir, None)["epoch"])
        answer = {"schema": SCHEMA, **msgspec.to_builtins(found)}
        if found.refusal is not None:
            out.fail(found.refusal, answer)
        _say(out, answer, f"epoch {found.epoch}: {found}")


def _ask(path: str, folder: Path, node: Path | None) -> Any:
    if node is not None:
        return query_once(node.resolve().parent / "run" / "read.sock", path)
    return ask_chain(local_network(folder), path)


def _registry(folder: Path, node: Path | None) -> dict[str, Any] | None:
    """What the epoch manager says, of a local network the newest node's, which may be one that comes."""
    if node is not None:
        runs = [node.resolve().parent / "run"]
    else:
        found = local_network(folder)
        runs = [found.node_dir(index) / "run" for index in reversed(found.indexes)]
    for run in runs:
        try:
            said: dict[str, Any] = call_once(run / "epoch.sock", "status", timeout=MANAGER_S)
        except AuthnetError:
            continue
        return said
    return None


@app.command()
def announce(
    operators: Annotated[
        list[str] | None, typer.Option("--operator", help="An operator's address; in the order of the parties.")
    ] = None,
    refresh: Annotated[bool, typer.Option("--refresh", help="The present members again: new shares.")] = False,
    notice_s: Annotated[
        int | None, typer.Option(help="Seconds until the hand-over may begin; 7 days, in a local network 0.")
    ] = None,
    rpc: Rpc = "",
    registry: Address = "",
    key: Key = None,
    dir: Dir = DEFAULT_DIR,
    json: Json = False,
) -> None:
    """As the registry's owner: open the next epoch for these operators. It starts when all have registered."""
    with reporting(Output(json)) as out:
        if bool(operators) == refresh:
            raise ConfigError("--operator: name the operators of the next committee, or say --refresh")
        _check_operators(operators or [])
        owner = _Owner.of(rpc, registry, key, dir)
        notice = (NOTICE_S if rpc else 0) if notice_s is None else notice_s
        epoch, members = asyncio.run(owner.announce(operators or [], notice))
        answer = {"schema": SCHEMA, "epoch": epoch, "n": len(members), "operators": members, "notice_s": notice}
        _say(out, answer, f"epoch {epoch} is open for {len(members)} operators; it starts when they have registered")


@app.command()
def abort(
    epoch: Annotated[int, typer.Argument(help="The newest epoch of the registry.")],
    rpc: Rpc = "",
    registry: Address = "",
    key: Key = None,
    node: NodeToml = None,
    dir: Dir = DEFAULT_DIR,
    json: Json = False,
) -> None:
    """As the registry's owner: call an epoch off. The nodes drop it unless they have switched."""
    with reporting(Output(json)) as out:
        if (phase := _phase(epoch, dir, node)) in ("serving", "retired"):
            raise AuthnetError(Code.ALREADY_DONE, f"epoch {epoch} is {phase}: what has switched is not called off")
        asyncio.run(_Owner.of(rpc, registry, key, dir).abort(epoch))
        _say(out, {"schema": SCHEMA, "epoch": epoch, "aborted": True}, f"epoch {epoch} is called off")


@app.command()
def reject(
    epoch: Annotated[int, typer.Argument(help="The epoch that is to take over.")],
    node: Annotated[Path | None, typer.Option("--node", help="The node.toml of a present member.")] = None,
    index: Annotated[int, typer.Option("--index", help="A node of the local network instead.")] = 1,
    dir: Dir = DEFAULT_DIR,
    json: Json = False,
) -> None:
    """As a present member: do not hand over to this committee. More than t members end the hand-over."""
    with reporting(Output(json)) as out:
        run = node.resolve().parent / "run" if node is not None else node_run(dir, index)
        handover = _handover(run)
        if handover["committee"]["epoch"] != epoch:
            other = handover["committee"]["epoch"]
            raise AuthnetError(Code.NO_HANDOVER, f"epoch {other} is taking over, not {epoch}")
        record = handover["record_hash"]
        sent = call_once(run / "ops.sock", "reject", {"epoch": epoch, "record_hash": record}, timeout=REJECT_S)
        answer = {"schema": SCHEMA, "epoch": epoch, "record_hash": record, **sent}
        _say(out, answer, f"this node rejects epoch {epoch}; `epoch status` shows who else does")


def _check_operators(operators: list[str]) -> None:
    """Raise ConfigError for what could never become a committee: an announced epoch's number is used up."""
    for operator in operators:
        digits = operator.removeprefix("0x")
        if len(digits) != 40 or operator == digits or not set(digits) <= set(hexdigits):
            raise ConfigError(f"--operator: {operator} is no Ethereum address (0x and 40 hex digits)")
    if len({operator.lower() for operator in operators}) != len(operators):
        raise ConfigError("--operator: one address stands there twice")
    if operators and len(operators) not in SUPPORTED_SIZES:
        sizes = ", ".join(map(str, SUPPORTED_SIZES))
        raise ConfigError(f"--operator: a committee has {sizes} members, not {len(operators)}")


def _handover(run: Path) -> Any:
    """The hand-over under way, as the node sees it. Raises NO_HANDOVER."""
    try:
        return query_once(run / "read.sock", "/handover")
    except AuthnetError as absent:
        if absent.code is not Code.NOT_FOUND:
            raise
        raise AuthnetError(Code.NO_HANDOVER, "no hand-over is under way: there is nothing to reject") from None


def _phase(epoch: int, folder: Path, node: Path | None) -> str:
    """What the chain says about an epoch; empty if it knows nothing or can not be asked here."""
    try:
        return str(_ask(f"/epoch/{epoch}", folder, node)["status"])
    except AuthnetError:
        return ""


class _Owner:
    """The owner's key at one registry."""

    def __init__(self, rpc: str, registry: str, key: bytes) -> None:
        self._rpc, self._registry, self._key = rpc, registry, key

    @staticmethod
    def of(rpc: str, registry: str, key: Path | None, folder: Path) -> _Owner:
        """From the options, else from a local network. Raises ConfigError, whose text never holds the key."""
        if bool(rpc) != bool(registry) or (rpc and key is None):
            raise ConfigError("--rpc, --registry and --key belong together")
        if not rpc:
            found = local_network(folder)
            rpc, registry, key = found.eth_rpc, str(found.registry()["address"]), key or found.eth / "owner.key"
        assert key is not None
        try:
            raw = bytes.fromhex(key.read_text().strip().removeprefix("0x"))
        except (OSError, ValueError):
            raise ConfigError(f"--key: {key.name} can not be read as 32 bytes in hex") from None
        if len(raw) != 32:
            raise ConfigError(f"--key: {key.name} can not be read as 32 bytes in hex")
        return _Owner(rpc, registry, raw)

    async def announce(self, operators: list[str], notice_s: int) -> tuple[int, list[str]]:
        """Open the next epoch; without operators for the members of the one that serves."""
        from authnet_runtime.ethereum import Ethereum
        from authnet_runtime.registry import Registry
        from localnet.registry_admin import RegistryAdmin

        async with Ethereum(self._rpc) as eth:
            registry = Registry(eth, self._registry)
            members = operators or await _present(registry)
            committee = Committee.of(len(members))
            epoch = await registry.last_epoch() + 1
            admin = RegistryAdmin(eth, self._key)
            await admin.open_epoch(registry, epoch, committee, members, notice_s=notice_s)
            return epoch, members

    async def abort(self, epoch: int) -> None:
        from authnet_runtime.ethereum import Ethereum
        from authnet_runtime.registry import Registry
        from localnet.registry_admin import RegistryAdmin

        async with Ethereum(self._rpc) as eth:
            await RegistryAdmin(eth, self._key).abort_epoch(Registry(eth, self._registry), epoch)


async def _present(registry: Any) -> list[str]:
    """Operators of the committee that serves, in party order.

    The registry does not know which one that is: an epoch that members rejected, or that timed out, stays started
    there until its owner calls it off. So members are asked, and k of them believed about their own committee.
    """
    from authnet_runtime.registry_state import EpochStatus
    from authnet_runtime.trust import count_serving

    for number in range(await registry.last_epoch(), 0, -1):
        epoch = await registry.epoch(number)
        if epoch is None or epoch.status is not EpochStatus.STARTED:
            continue
        if await count_serving([member.endpoint for member in epoch.members], number) >= epoch.k:
            return [member.operator for member in epoch.members]
    text = "no committee of the registry says that it serves; name the members: --operator"
    raise AuthnetError(Code.UNAVAILABLE, text)


def _say(out: Output, answer: dict[str, Any], text: str) -> None:
    if out.json:
        out.emit(answer)
    else:
        typer.echo(text)
