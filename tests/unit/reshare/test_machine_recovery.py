"""A new member that a dealer of Q' cheated gets its shares from k' others, and nobody else gets anything."""

from dataclasses import replace
from typing import Any

import pytest

from authnet_core.protocol.dkg.effects import Blame
from authnet_core.protocol.reshare.complaint import prove_shared
from authnet_core.protocol.reshare.deal import answer, plaintexts_of
from authnet_core.protocol.reshare.machine import Resharing
from authnet_core.protocol.reshare.messages import (
    ReshareBundle,
    ReshareReady,
    ReshareRecovery,
    WantNonces,
    WantReshareBundle,
    WantReshareRecovery,
)
from authnet_core.protocol.reshare.params import Sender
from authnet_core.protocol.reshare.sums import new_shares
from authnet_core.protocol.views import ReshareView
from tests.sim.reshare.dealers import evil_dealing
from tests.unit.reshare.driving import feed, give_nonces, new_machine, read_gamma, sent, submitted, upheld, view
from tests.unit.reshare.setting import DEALINGS, ESTATE, PARAMS, seed_of

ME = 3
RID = PARAMS.rid
EVIL = evil_dealing(ESTATE, 2, seed_of(2), "bad share", victim=ME)
EVIL_DEALS = {j: made.deal for j, made in DEALINGS.items()} | {2: EVIL.deal}
EVIL_GAMMA = read_gamma(EVIL_DEALS)
EVIL_TESTS = {j: answer(PARAMS, made.sharing, EVIL_GAMMA) for j, made in DEALINGS.items()} | {
    2: answer(PARAMS, EVIL.sharing, EVIL_GAMMA)
}


def cheated_view(phase: str, height: int, **changes: Any) -> ReshareView:
    """Dealer 2 cheated new member 3 and is in Q' all the same."""
    seen: dict[str, Any] = {"deals": EVIL_DEALS, "gamma_seed": EVIL_GAMMA, "complaints": upheld(2, ME)}
    if phase != "test":
        seen["tests"] = EVIL_TESTS
    return view(phase, height, **(seen | changes))


def holding(m: int) -> Resharing:
    machine = new_machine(m)
    machine.on_chain(cheated_view("test", 3))
    feed(machine, 1, 3, 4, 5)
    machine.handle(Sender(old=2), EVIL.bundle)
    return machine


def recovery(holder: int) -> ReshareRecovery:
    return ReshareRecovery(RID, 2, *prove_shared(PARAMS, 2, holder, EVIL.deal.e, ESTATE.eks[holder]))


# PARAMS has 4 new members with a key: one cheated, three others, and k' = 3.
def test_a_late_victim_recovers_its_shares_from_k_others() -> None:
    machine = holding(ME)
    give_nonces(machine)
    effects = machine.on_chain(cheated_view("ready", 8))
    assert {to for to, _ in sent(effects, WantReshareRecovery)} == {1, 2, 4, 5}
    assert "recovery/2" in machine.missing
    assert machine.handle(Sender(new=1), recovery(1)) == []
    forged = replace(recovery(2), shared=recovery(1).shared)
    assert machine.handle(Sender(new=2), forged) == [Blame(2, "new member: recovery with no proof for its D")]
    assert machine.handle(Sender(new=2), recovery(2)) == []
    effects = machine.handle(Sender(new=4), recovery(4))
    assert [type(m) for m in submitted(effects)] == [ReshareReady]
    assert machine.batch is not None
    expected = new_shares(
        PARAMS, {j: plaintexts_of(PARAMS, DEALINGS[j].sharing)[ME - 1] for j in (1, 3)} | {2: right()}
    )
    assert machine.batch[:32] == expected[0].to_bytes(32, "big")


def right() -> bytes:
    """What dealer 2 owed its victim."""
    return plaintexts_of(PARAMS, EVIL.sharing)[ME - 1]


@pytest.mark.parametrize(
    ("change", "sender"),
    [
        ({"complaints": []}, Sender(new=ME)),
        ({"complaints": upheld(2, 4)}, Sender(new=ME)),
        ({"complaints": upheld(2, ME, height=8)}, Sender(new=ME)),
        ({"q": (1, 3, 4)}, Sender(new=ME)),
        ({"complaints": upheld(2, ME) + upheld(1, ME)}, Sender(new=ME)),
        ({}, Sender(old=ME)),
        ({}, Sender(new=4)),
    ],
)
def test_d_leaves_the_node_for_an_upheld_complainer_only(change: dict[str, object], sender: Sender) -> None:
    """Not upheld, another's, too fresh, a dealer out of Q', more than t convicts, no new member, another member."""
    machine = holding(1)
    machine.on_chain(cheated_view("ready", 8, **change))
    assert machine.handle(sender, WantReshareRecovery(RID, 2)) == []


def test_d_goes_to_the_upheld_complainer() -> None:
    machine = holding(1)
    machine.on_chain(cheated_view("ready", 8))
    assert sent(machine.handle(Sender(new=ME), WantReshareRecovery(RID, 2)), ReshareRecovery) == [(ME, recovery(1))]
    machine.on_chain(cheated_view("failed", 9, q=()))
    assert machine.handle(Sender(new=ME), WantReshareRecovery(RID, 3)) == []


def test_it_serves_bundles_it_holds_to_new_members() -> None:
    machine = holding(1)
    assert sent(machine.handle(Sender(new=4), WantReshareBundle(RID, 5)), ReshareBundle)
    assert machine.handle(Sender(old=4), WantReshareBundle(RID, 5)) == []
    assert machine.handle(Sender(new=4), WantNonces(RID)) == []
