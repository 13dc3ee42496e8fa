"""Export a real chain, begin a new one from it under real CometBFT: same accounts, keys and committee."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest
from typer.testing import CliRunner

from authnet.commands import build
from authnet_core.crypto.secp256k1 import pub
from authnet_core.errors import Code, number
from authnet_core.wire import authnet_pb2 as wire
from authnet_core.wire.tx import sign_tx
from authnet_runtime.chain import ChainReader
from authnet_runtime.rpc import serve
from p2p_dkg.doors.exporting import ExportSigner
from p2p_dkg.keystore.identity import SecretSigner
from p2p_dkg.keystore.store import open_keystore
from tests.component.abci.node import Node, wait_until
from tests.component.abci.test_chain import verifier, version_on_chain, wait_first_epoch
from tests.unit.abci.world import NETWORK, secret, verifier_record

pytestmark = pytest.mark.e2e


@contextmanager
def keeper(node: Node) -> Iterator[None]:
    """ops.sock of a keeper that can sign an export, and nothing else."""
    ended = threading.Event()

    async def run() -> None:
        async with ChainReader(node.run / "read.sock") as chain, anyio.create_task_group() as group:
            methods = {"sign_export": ExportSigner(chain, SecretSigner(secret("id", 1))).sign}
            await group.start(partial(serve, node.run / "ops.sock", methods))
            await anyio.to_thread.run_sync(ended.wait)
            group.cancel_scope.cancel()

    thread = threading.Thread(target=anyio.run, args=(run,))
    thread.start()
    wait_until((node.run / "ops.sock").exists, "the keeper")
    yield
    ended.set()
    thread.join()


def authnet(*words: object) -> tuple[int, dict[str, Any]]:
    result = CliRunner().invoke(build(), ["chain", *map(str, words), "--json"])
    return result.exit_code, json.loads(result.stdout)


def prepare(node: Node) -> None:
    """What a node's folder has beside its chain: a keystore, and genesis.json where CometBFT reads it."""
    folder = node.folder
    passphrase = folder / "passphrase"
    passphrase.write_text("correct horse\n")
    passphrase.chmod(0o600)
    store = open_keystore(folder / "keeper", NETWORK, passphrase, 2)
    store.bind_chain(f"{NETWORK}-1", 1)
    store.epoch(1).put_batch(bytes(32), bytes(64))
    inside = node.home / "config/genesis.json"
    (folder / "genesis.json").write_bytes(inside.read_bytes())
    inside.unlink()
    inside.symlink_to(folder / "genesis.json")


def to_new_chain(raw_epoch: int, node: Node, **kind: object) -> bytes:
    key = secret("id", 1)
    expiry = node.height() + 50
    body = wire.TxBody(chain_id=f"{NETWORK}-2", version=1, epoch=raw_epoch, expiry_height=expiry, **kind)
    return sign_tx(key, pub(key), body)


def test_a_new_chain_goes_on_from_the_old_ones_state(node: Node, tmp_path: Path) -> None:
    prepare(node)
    node.start()
    wait_first_epoch(node)
    assert node.send(verifier(node, 3)) == 0
    wait_until(lambda: version_on_chain(node) == 3, "the verifier")
    before = {path: node.view(path) for path in ("/epoch/1", "/verifiers", "/pool", "/params")}
    file = tmp_path / "export"
    with keeper(node):
        code, made = authnet("export", "--out", file, "--node", node.folder)
        assert (code, made["signatures"], made["refusals"]) == (0, 1, [])
        code, done = authnet("sign", file, "--node", node.folder)
        assert (code, done["signatures"]) == (0, 1)
    code, refused = authnet("import", file, "--node", node.folder)
    assert (code, refused["error"]["code"]) == (2, "CONFIG")
    node.stop()
    (node.run / "abci.sock").unlink(missing_ok=True)
    unsigned = tmp_path / "unsigned"
    unsigned.write_bytes(file.read_bytes().replace(b'"signatures":{"0', b'"signatures":{"1'))
    code, refused = authnet("import", unsigned, "--node", node.folder)
    assert (code, refused["error"]["code"]) == (1, "EXPORT_INVALID")
    code, moved = authnet("import", file, "--node", node.folder, "--out", tmp_path / "genesis.json")
    assert (code, moved["chain_id"], moved["signed_by"], moved["batches"]) == (0, f"{NETWORK}-2", [1], 1)
    assert (tmp_path / "genesis.json").read_bytes() == (node.folder / "genesis.json").read_bytes()
    code, refused = authnet("import", file, "--node", node.folder)
    assert (code, refused["error"]["code"]) == (1, "EXPORT_INVALID")
    node.start()
    wait_until(lambda: node.height() > made["height"], "the new chain")
    wait_until(lambda: node.view("/status") is not None, "its state")
    status = node.view("/status")
    assert (status["chain_id"], status["epoch"]) == (f"{NETWORK}-2", 1)
    assert {path: node.view(path) for path in before} == before
    assert int(node.rpc("status")["sync_info"]["earliest_block_height"]) == made["height"] + 1
    assert node.send(verifier(node, 4)) == number(Code.WRONG_CHAIN)
    record = wire.Observe(record=verifier_record(version=4).SerializeToString(deterministic=True))
    assert node.send(to_new_chain(1, node, observe=record)) == 0
    wait_until(lambda: version_on_chain(node) == 4, "a transaction of the new chain")
    node.stop()
    node.start()
    wait_until(lambda: node.height() > made["height"] and version_on_chain(node) == 4, "it is back")
