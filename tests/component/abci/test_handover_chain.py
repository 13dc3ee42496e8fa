"""Five validators hand over to five others on a real CometBFT: who signs which block."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from authnet_core.crypto import pok
from authnet_core.crypto.secp256k1 import pub
from authnet_core.protocol.dkg.strings import enckey_context
from authnet_core.wire import authnet_pb2 as wire
from authnet_core.wire.tx import sign_tx
from tests.component.abci.network import Network
from tests.component.abci.node import find_cometbft, wait_until
from tests.unit.abci.handover_world import next_record, raw_of
from tests.unit.abci.world import CHAIN, SEED, epoch_record, secret

pytestmark = pytest.mark.e2e
OLD, NEW = (1, 2, 3, 4), (6, 7, 8, 9)
"""Those that run: one of each five is down throughout."""
SLOW = 120.0


@pytest.fixture
def network() -> Iterator[Network]:
    binary = find_cometbft()
    if binary is None:
        pytest.skip("cometbft is not installed: run make setup")
    with tempfile.TemporaryDirectory(prefix="an") as folder:
        chain = Network(Path(folder), binary, 10, 5, pool_low=0, pool_high=0, join_wait_ms=1_000)
        try:
            yield chain
        finally:
            chain.close()


def send(network: Network, node: int, epoch: int, **kind: Any) -> None:
    key, member = secret("id", node), network.members[node - 1]
    body = wire.TxBody(chain_id=CHAIN, version=1, epoch=epoch, expiry_height=member.height() + 50, **kind)
    assert member.send(sign_tx(key, pub(key), body)) == 0


def observe(network: Network, record: wire.Record, epoch: int) -> None:
    for place, member in enumerate(record.epoch.members):
        number = place + 1 if record.epoch.epoch == 1 else place + 6
        member.consensus = network.members[number - 1].consensus
    for node in OLD:
        send(network, node, epoch, observe=wire.Observe(record=raw_of(record)))


def join(network: Network, node: int) -> None:
    """READY_NODE with what its own chain says, and one encryption key."""
    known = network.members[node - 1].view("/status")
    service, key = pub(secret("service", node)), secret("ek", node)
    entry = wire.EncKeyEntry(key=pub(key), pok=pok.prove(key, enckey_context(CHAIN, 2, 0, node - 5), SEED))
    app_hash = bytes.fromhex(known["app_hash"])
    ready = wire.ReadyNode(epoch=2, height=known["height"], app_hash=app_hash, service_key=service)
    send(network, node, 2, ready_node=ready)
    send(network, node, 2, enckey=wire.EncKey(first_counter=0, keys=[entry], service_key=service))


@pytest.mark.timeout(600)
def test_five_validators_hand_over_to_five_others(network: Network) -> None:
    network.start((*OLD, *NEW))
    later = network.members[5]
    observe(network, epoch_record(5), 0)
    for member in (network.members[node - 1] for node in OLD):
        wait_until(lambda m=member: m.view("/epoch/current") is not None, "epoch 1", SLOW)  # type: ignore[misc]
    observe(network, next_record(), 1)
    for member in (network.members[node - 1] for node in NEW):
        wait_until(lambda m=member: (m.view("/handover") or {}).get("phase") == "joining", "joining", SLOW)  # type: ignore[misc]
    for node in NEW:
        join(network, node)
    wait_until(lambda: bool(later.view("/handovers")), "the switch", SLOW)

    height = later.view("/handovers")[0]["height"]
    assert later.view("/epoch/current")["epoch"] == 2
    wait_until(lambda: later.height() >= height + 1, "the last block of the former committee", SLOW)
    before = {member.consensus for member in network.members[:5]}
    after = {member.consensus for member in network.members[5:]}
    assert later.validators(height) == later.validators(height + 1) == before
    for node in OLD:
        network.members[node - 1].stop()
    wait_until(lambda: later.height() >= height + 4, "blocks of the next committee alone", SLOW)
    assert later.validators(height + 2) == later.validators(height + 3) == after
    assert later.signers(height + 1) >= 4
    assert later.signers(height + 3) == len(NEW)
