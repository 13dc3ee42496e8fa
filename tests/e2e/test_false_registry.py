"""A registry that announces what may not be, or something else than it did: refused by name, on real processes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
import pytest

from authnet_core.errors import AuthnetError
from authnet_core.protocol.committee import Committee
from authnet_core.protocol.views import HandoverView
from authnet_runtime.registry import Registry
from authnet_runtime.registry_state import EpochState, EpochStatus, epoch_record
from localnet import ethereum
from localnet.registry_admin import RegistryAdmin
from tests.e2e.forgeries import Problem, changed
from tests.e2e.handovers import places
from tests.e2e.net import Net, socket_call, wait_for
from tests.e2e.networks import QUICK, SMALL_POOL, temporary
from tests.e2e.test_ethereum import as_owner
from tests.e2e.test_rotation_trouble import last_end, phase_of, until_phase

pytestmark = [pytest.mark.soak, pytest.mark.e2e, pytest.mark.timeout(1500)]
LONG_NOTICE_S = 3_600


@pytest.fixture(scope="module")
def gated() -> Iterator[Net]:
    with temporary(5, SMALL_POOL | QUICK) as net:
        yield net


def problems(net: Net, j: int, where: str) -> list[Problem]:
    """What node j's epoch manager complains of in this place."""
    try:
        found = socket_call(net.node(j).path / "run" / "epoch.sock", "status")["problems"]
    except AuthnetError:
        return []
    return [problem for problem in msgspec.convert(found, list[Problem]) if problem.where == where]


def until_all_refuse(net: Net, epoch: int, text: str) -> None:
    """Every epoch manager names the record that the rules refuse, and why."""

    def named() -> bool:
        found = [problems(net, j, f"epoch {epoch}") for j in net.indexes]
        return all(some and some[0].code == "RECORD_REFUSED" and text in some[0].message for some in found)

    wait_for(f"all epoch managers say: {text}", 60, named, every=0.3)


class Owner:
    """The registry's owner, and the Ethereum chain below."""

    def __init__(self, net: Net) -> None:
        self._net, self.rpc = net, net.first.eth["rpc"]

    def announce(self, committee: Committee, operators: list[str], notice_s: int = 0) -> int:
        found: list[int] = []

        async def act(admin: RegistryAdmin, registry: Registry) -> None:
            number = await registry.last_epoch() + 1
            await admin.open_epoch(registry, number, committee, operators, notice_s=notice_s)
            found.append(number)

        as_owner(self._net, act)
        return found[0]

    def abort(self, epoch: int) -> None:
        as_owner(self._net, lambda admin, registry: admin.abort_epoch(registry, epoch))

    def epoch(self, number: int, *, final: bool = False) -> EpochState | None:
        """The contract's entry in the newest or the finalized block."""
        found: list[EpochState | None] = []

        async def act(_: RegistryAdmin, registry: Registry) -> None:
            block = await registry.ethereum.block("finalized") if final else None
            found.append(await registry.epoch(number, block))

        as_owner(self._net, act)
        return found[0]

    def has_started(self, number: int, *, final: bool = False) -> bool:
        state = self.epoch(number, final=final)
        return state is not None and state.status is EpochStatus.STARTED

    @property
    def operators(self) -> list[str]:
        """Of the committee in charge, in party order."""
        first = self.epoch(1)
        assert first is not None
        return [member.operator for member in first.members]

    @contextmanager
    def slow_blocks(self) -> Iterator[None]:
        """Each transaction has a block of its own and no other block is made: the newest two are not final."""
        ethereum.call(self.rpc, "evm_setIntervalMining", 0)
        ethereum.call(self.rpc, "evm_setAutomine", True)
        try:
            yield
        finally:
            ethereum.call(self.rpc, "evm_setAutomine", False)
            ethereum.call(self.rpc, "evm_setIntervalMining", 1)

    def snapshot(self) -> str:
        return str(ethereum.call(self.rpc, "evm_snapshot"))

    def rewrite(self, snapshot: str) -> None:
        """The chain is what it was then, and goes on in another way."""
        assert ethereum.call(self.rpc, "evm_revert", snapshot) is True


def members_announced(net: Net) -> list[str]:
    """Operators of the next committee, as the chain has it."""
    at = places(net).indexes[0]
    return [member.operator for member in net.query(at, "/handover", HandoverView).committee.members]


def test_a_committee_that_is_not_sound_comes_through_no_gate(gated: Net) -> None:
    """n = 5 with k = 4 breaks n >= k + 2t: the contract reverts, the chain refuses, whoever brings the record."""
    owner = Owner(gated)
    with pytest.raises(AuthnetError) as caught:
        owner.announce(Committee(5, 4, 1), owner.operators)
    assert (caught.value.code, caught.value.detail.get("error")) == ("REGISTRY_REFUSED", "BadParameters")
    first = owner.epoch(1)
    assert first is not None
    lie = changed(epoch_record(first), epoch=2, previous=1, k=4)
    for j in gated.indexes:
        with pytest.raises(AuthnetError) as refused:
            gated.ops(j, "observe", {"record": lie.hex()})
        assert refused.value.code == "RECORD_REFUSED"
        assert "break n >= k + 2t" in refused.value.message
    # Sound, but not the k and t of five nodes: the contract takes it, the chain does not.
    number = owner.announce(Committee(5, 2, 1), owner.operators)
    wait_for("it starts in the registry", 60, lambda: owner.has_started(number))
    until_all_refuse(gated, number, "k is 3 and t is 1")
    assert phase_of(gated) == ""
    owner.abort(number)
    wait_for("nothing is complained of", 60, lambda: not any(problems(gated, j, f"epoch {number}") for j in (1, 5)))


def test_a_registry_that_is_rewritten_before_finality_was_never_seen(gated: Net) -> None:
    """The committee that lay in blocks which were never final is not announced; the one after it is."""
    owner, operators = Owner(gated), Owner(gated).operators
    with owner.slow_blocks():
        before = owner.snapshot()
        number = owner.announce(Committee.of(5), operators, LONG_NOTICE_S)
        wait_for("all have registered", 60, lambda: owner.has_started(number))
        assert not owner.has_started(number, final=True)
        owner.rewrite(before)
    assert owner.announce(Committee.of(5), operators[::-1], LONG_NOTICE_S) == number
    # Their entries were undone with it: without another look at the registry nobody would come.
    wait_for("all have registered again", 60, lambda: owner.has_started(number))
    assert until_phase(gated, "announced") == "announced"
    assert members_announced(gated) == operators[::-1]
    owner.abort(number)
    wait_for("the chain has dropped it", 60, lambda: not phase_of(gated))


def test_a_registry_that_is_rewritten_after_finality_is_refused_by_name(gated: Net) -> None:
    """Ethereum takes a final block back: the chain's next committee stays what it was until the owner calls it off."""
    owner, operators = Owner(gated), Owner(gated).operators
    before = owner.snapshot()
    number = owner.announce(Committee.of(5), operators, LONG_NOTICE_S)
    assert until_phase(gated, "announced") == "announced"
    owner.rewrite(before)
    assert owner.announce(Committee.of(5), operators[::-1], LONG_NOTICE_S) == number
    until_all_refuse(gated, number, "the registry was rewritten")
    assert (phase_of(gated), members_announced(gated)) == ("announced", operators)
    owner.abort(number)
    wait_for("the chain has dropped it", 60, lambda: not phase_of(gated))
    assert (last_end(gated).epoch, last_end(gated).outcome) == (number, "aborted")
