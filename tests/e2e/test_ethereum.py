"""Ethereum goes away, comes back, re-organises, says something else than genesis did: the network serves on.

What the registry says reaches the chain when it is final, and nothing that was re-organised away does.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import pytest

from authnet_core.errors import AuthnetError
from authnet_core.protocol.views import VerifierView
from authnet_runtime.registry_state import AudienceState, VerifierState
from localnet import deploy, ethereum, places, procs
from tests.e2e.doors import PublicDoor, one_round, two_rounds
from tests.e2e.net import Net, socket_call, wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]
FINAL_S = 20
"""A block is final two seconds later; the rest is polling and one block of our own chain."""


def new_name() -> str:
    return f"idp-{secrets.token_hex(4)}"


def record(net: Net, name: str) -> VerifierState:
    """A verifier of this name at the local provider, with audiences of its own."""
    audiences = (AudienceState(aud=f"{name}-2", mode="two-round"), AudienceState(aud=f"{name}-1", mode="bound"))
    return msgspec.structs.replace(deploy.verifiers(net.first.front)[0], name=name, audiences=audiences)


def as_owner(net: Net, act: Callable[[Any, Any], Awaitable[None]]) -> None:
    """Do something with the registry owner's key."""
    from authnet_runtime.ethereum import Ethereum
    from authnet_runtime.registry import Registry
    from localnet.registry_admin import RegistryAdmin

    async def run() -> None:
        found = places.load(net.dir)
        assert found is not None
        async with Ethereum(net.first.eth["rpc"]) as eth:
            await act(RegistryAdmin(eth, deploy.owner_key(found)), Registry(eth, net.first.eth["registry"]))

    asyncio.run(run())


def add_verifier(net: Net, name: str) -> None:
    as_owner(net, lambda admin, registry: admin.add_verifier(registry, record(net, name)))


def knows(net: Net, name: str) -> bool:
    """Whether every node's chain has the verifier."""
    for j in net.indexes:
        try:
            net.query(j, f"/verifier/{name}", VerifierView)
        except AuthnetError:
            return False
    return True


def anvil_pid(net: Net) -> int | None:
    """The Ethereum node of this localnet."""
    for pid in procs.marked(net.dir):
        try:
            program = os.path.basename(os.readlink(f"/proc/{pid}/exe"))
        except OSError:
            continue
        if program.startswith("anvil"):
            return pid
    return None


@contextmanager
def no_ethereum(net: Net) -> Iterator[None]:
    """The RPC accepts connections and says nothing: the worst kind of outage."""
    pid = wait_for("anvil", 20, lambda: anvil_pid(net))
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def serves(net: Net) -> None:
    """Both kinds of login, and a look-up, of a user nobody has seen."""
    door, user = PublicDoor(net), f"eth-{secrets.token_hex(5)}@example.com"
    assert one_round(door, user) == two_rounds(door, user)
    net.cli("resolve", "mock-google", f"look-{user}")


def test_a_new_verifier_reaches_the_chain_by_observation(net: Net) -> None:
    name = new_name()
    assert not knows(net, name)
    add_verifier(net, name)
    wait_for("all nodes to know the verifier", FINAL_S, lambda: knows(net, name))


def test_the_network_serves_while_ethereum_says_nothing(net: Net) -> None:
    with no_ethereum(net):
        time.sleep(2)
        serves(net)
    name = new_name()
    add_verifier(net, name)
    wait_for("observation to go on", FINAL_S + 15, lambda: knows(net, name))


def test_the_network_serves_while_ethereum_restarts(net: Net) -> None:
    before = wait_for("anvil", 20, lambda: anvil_pid(net))
    os.kill(before, signal.SIGKILL)
    serves(net)
    wait_for("anvil to be back", 30, lambda: (pid := anvil_pid(net)) and pid != before)
    ethereum.wait_up(net.first.eth["rpc"])
    name = new_name()
    add_verifier(net, name)
    wait_for("observation to go on", FINAL_S + 15, lambda: knows(net, name))


def test_an_epoch_manager_resumes_where_it_was(net: Net) -> None:
    name = new_name()
    old = net.kill_process(1, "epoch_manager")
    add_verifier(net, name)
    wait_for("epoch_manager to be back", 20, lambda: net.pid(1, "epoch_manager") != old)
    wait_for("observation to go on", FINAL_S, lambda: knows(net, name))
    wait_for("no open problem", 20, lambda: _problems(net, 1) == [])


def _problems(net: Net, j: int) -> list[Any] | None:
    """What node j's epoch manager complains of; None while it is not there."""
    try:
        found: list[Any] = socket_call(net.node(j).path / "run" / "epoch.sock", "status")["problems"]
    except AuthnetError:
        return None
    return found


def test_what_a_reorg_takes_back_never_reaches_the_chain(net: Net) -> None:
    rpc, ghost, name = net.first.eth["rpc"], new_name(), new_name()

    def reorg() -> bool:
        """Two blocks are not final yet: the newest ones are replaced by empty ones."""
        try:
            ethereum.call(rpc, "anvil_reorg", 2, [])
        except (OSError, ValueError):
            return False
        return True

    add_verifier(net, ghost)
    assert reorg(), "this anvil can not re-organise"
    found: list[str] = []
    as_owner(net, lambda _, registry: _names(net, registry, found))
    if ghost in found:
        pytest.skip("the block had sunk below the re-organised ones")
    add_verifier(net, name)
    wait_for("observation to go on", FINAL_S, lambda: knows(net, name))
    assert not knows(net, ghost), "a verifier that Ethereum took back is on the chain"
    serves(net)


async def _names(net: Net, registry: Any, found: list[str]) -> None:
    """Names of the verifiers that the contract has in the newest block."""
    from authnet_runtime.ethereum import Ethereum

    async with Ethereum(net.first.eth["rpc"]) as eth:
        snapshot = await registry.snapshot(await eth.block("latest"))
    found.extend(verifier.name for verifier in snapshot.verifiers)
