"""`authnet node backup` and `authnet node restore`: keep what a node could not make again, and prove that it opens."""

from __future__ import annotations

import json as json_text
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from authnet.commands.options import Json
from authnet.output import Output, reporting
from authnet_core.errors import AuthnetError, ConfigError

Node = Annotated[Path, typer.Option("--node", help="The node's folder.")]
Passphrase = Annotated[Path | None, typer.Option("--passphrase-file", help="The keeper's; the node's own if left out.")]
_PAGE = 500


def backup(
    out: Annotated[Path, typer.Option("--out", help="File to write.")],
    node: Node = Path(),
    json: Json = False,
) -> None:
    """Write an encrypted backup; the node may run. It opens with the keeper's passphrase, which is not in it."""
    from authnet.backup import archive, contents
    from authnet_runtime.config import load_node
    from p2p_dkg.keystore.files import read_passphrase
    from p2p_dkg.keystore.nodekeys import open_node_keys

    with reporting(Output(json)) as output:
        config = load_node(node / "node.toml")
        passphrase = read_passphrase(config.passphrase_file)
        network_id = config.toml.node.network_id
        keys = open_node_keys(config.dir / "keeper" / "node.keys", network_id, passphrase)
        if keys is None:
            raise ConfigError("node.dir: the node has no keys yet; start it once")
        from authnet_core.crypto.secp256k1 import pub

        summary = archive.Summary(
            schema=1,
            made_ms=time.time_ns() // 1_000_000,
            network_id=network_id,
            identity=pub(keys.identity).hex(),
            entries=0,
        )
        try:
            count = archive.write(out, passphrase, config.toml.keeper.scrypt_n, contents.collect(config), summary)
        except OSError as error:
            raise ConfigError(f"out: {out} can not be written: {error.strerror}") from None
        output.result({"file": str(out), "identity": summary.identity, "files": count, "bytes": out.stat().st_size})


def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE")],
    node: Node = Path(),
    drill: Annotated[bool, typer.Option("--drill", help="Only prove that it opens; nothing is changed.")] = False,
    passphrase_file: Passphrase = None,
    peer: Annotated[list[str] | None, typer.Option(help="Public URL of another node; may be repeated.")] = None,
    signs_after: Annotated[int, typer.Option(help="Height up to which the node signs nothing.")] = 0,
    json: Json = False,
) -> None:
    """Make a new node folder from a backup, or with --drill only prove that it opens and that every share fits."""
    from authnet.backup import restoring
    from p2p_dkg.keystore.files import read_passphrase

    with reporting(Output(json)) as output:
        passphrase = read_passphrase(passphrase_file or _own_passphrase(node))
        try:
            if drill:
                output.result(_drill(file, passphrase, node))
                return
            height = signs_after or restoring.highest(_heights(peer or []))
            opened = restoring.restore(file, node.resolve(), passphrase, height)
        except OSError as error:
            raise ConfigError(f"{file}: {error.strerror}") from None
        output.result({"node": str(node), "identity": opened.summary.identity, "signs_after": height})
        output.note("Make sure that the former node never starts again: two with one key sign against each other.")


def _own_passphrase(node: Path) -> Path:
    from authnet_runtime.config import load_node

    if not (node / "node.toml").exists():
        raise ConfigError("passphrase_file: name the file with the keeper's passphrase")
    return load_node(node / "node.toml").passphrase_file


def _drill(file: Path, passphrase: bytes, node: Path) -> dict[str, Any]:
    from authnet.backup import restoring
    from authnet.backup.archive import invalid

    found = restoring.drill(file, passphrase)
    report: dict[str, Any] = {
        "made_ms": found.made_ms,
        "identity": found.identity,
        "chain_id": found.chain_id,
        "shares": found.epochs,
        "erased_epochs": found.erased,
        "compared": False,
    }
    sock = node / "run" / "read.sock"
    if not sock.exists():
        return report
    wrong, missing, erased = _compare(found, sock)
    if wrong:
        raise invalid(f"{len(wrong)} batches of the backup are not those of the chain, the first is {wrong[0]}")
    return {**report, "compared": True, "missing_batches": len(missing), "epochs_to_forget": erased}


def _compare(found: Any, sock: Path) -> tuple[list[str], list[str], list[int]]:
    """Against the running node's chain: (wrong batches, batches made since, epochs whose shares should be gone)."""
    from authnet.backup import restoring
    from authnet_runtime.rpc_once import query_once

    wrong, missing, old = list[str](), list[str](), list[int]()
    # The present committee's too: a backup from before a switch has no share of it at all.
    present = int(query_once(sock, "/epoch/current")["epoch"])
    for number in sorted({*found.epochs, present}):
        try:
            epoch = query_once(sock, f"/epoch/{number}")
        except AuthnetError:
            wrong += list(found.batches.get(number, ()))
            continue
        member = next((m["index"] for m in epoch["members"] if m["identity"] == found.identity), 0)
        others, lacking = restoring.compare(found, number, _batches(sock, number), member)
        wrong, missing = wrong + others, missing + lacking
        if epoch.get("grace_ends_ms", 0) and epoch["grace_ends_ms"] < time.time() * 1_000:
            old.append(number)
    return wrong, missing, old


def _batches(sock: Path, epoch: int) -> list[dict[str, Any]]:
    from authnet_runtime.rpc_once import query_once

    listed: list[dict[str, Any]] = []
    first = 0
    while page := query_once(sock, f"/batches/{epoch}/{first}/{_PAGE}"):
        listed += page
        first = page[-1]["first_index"] + page[-1]["count"]
    return listed


def _heights(peers: list[str]) -> list[int]:
    """What the peers say of the newest block."""
    import httpx

    heights = []
    for peer in peers:
        try:
            answer = httpx.get(f"{peer.rstrip('/')}/comet/status", timeout=10.0)
            heights.append(int(json_text.loads(answer.content)["result"]["sync_info"]["latest_block_height"]))
        except (httpx.HTTPError, ValueError, KeyError, TypeError, RecursionError):
            raise ConfigError(f"peer: {peer} does not say how far the chain is") from None
    return heights
