"""The whole stack of one node: real CometBFT, real sockets, real LevelDB."""

from __future__ import annotations

import base64
import time

import pytest

from authnet_core.crypto.secp256k1 import pub
from authnet_core.errors import Code, number
from authnet_core.wire import authnet_pb2 as wire
from authnet_core.wire.tx import sign_tx
from tests.component.abci.node import Node, wait_until
from tests.unit.abci.world import CHAIN, epoch_record, secret, verifier_record

pytestmark = pytest.mark.e2e


def make(node: Node, epoch: int, **kind: object) -> bytes:
    key = secret("id", 1)
    expiry = max(node.height(), 0) + 50
    body = wire.TxBody(chain_id=CHAIN, version=1, epoch=epoch, expiry_height=expiry, **kind)
    return sign_tx(key, pub(key), body)


def first_epoch(node: Node) -> bytes:
    record = epoch_record(1)
    record.epoch.members[0].consensus = node.consensus
    raw = record.SerializeToString(deterministic=True)
    return make(node, 0, observe=wire.Observe(record=raw))


def verifier(node: Node, version: int) -> bytes:
    raw = verifier_record(version=version).SerializeToString(deterministic=True)
    return make(node, 1, observe=wire.Observe(record=raw))


def version_on_chain(node: Node) -> int:
    record = node.view("/verifier/mock-google")
    return 0 if record is None else int(record["version"])


def wait_first_epoch(node: Node) -> None:
    wait_until(lambda: node.height() >= 1, "the first block")
    assert node.send(first_epoch(node)) == 0
    wait_until(lambda: node.view("/epoch/current") is not None, "epoch 1")


def test_a_chain_runs_stops_and_goes_on(node: Node) -> None:
    node.start()
    wait_first_epoch(node)
    assert node.send(verifier(node, 1)) == 0
    wait_until(lambda: version_on_chain(node) == 1, "the verifier")
    node.stop()
    node.start()
    wait_until(lambda: node.height() >= 1, "the chain is back")
    assert version_on_chain(node) == 1
    assert node.send(verifier(node, 1)) == number(Code.RECORD_STALE)
    assert node.send(b"junk") == number(Code.DECODE)
    assert node.query("/nothing")["code"] == number(Code.UNKNOWN_PATH)


def test_the_hash_in_the_next_header_is_the_one_a_proof_leads_to(node: Node) -> None:
    node.start()
    wait_first_epoch(node)
    answer = node.query("/epoch/1", prove=True)
    height = int(answer["height"])
    wait_until(lambda: node.height() > height, "the header after the answer")
    header = node.rpc("commit", height=str(height + 1))["signed_header"]["header"]
    status = node.view("/status")
    assert answer["proofOps"]["ops"]
    assert header["app_hash"].lower() == status["app_hash"]


def test_an_idle_chain_comes_to_rest(node: Node) -> None:
    node.start()
    wait_first_epoch(node)
    settled = node.height()
    time.sleep(2)
    # Empty blocks come from the interval (5 s) alone; what settles first is the proof of the last change.
    assert node.height() - settled <= 3
    assert base64.b64decode(node.query("/pool")["value"])
