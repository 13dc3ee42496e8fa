"""The block in which the next committee takes charge.

Validator updates of this block sign from two heights later. They are the difference to our own copy of what CometBFT
uses next: an update that it refuses would stop every node at this block, for good.
"""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from abci_app.handover.phases import RETIRED, SERVING
from abci_app.registry import votes
from abci_app.rules.events import Event, event
from abci_app.state import records as r
from abci_app.state import records_handover as rh
from abci_app.state import tables
from abci_app.state.state import State

POWER: Final = 1
"""All n' get it, ready or not: with fewer validators k' - 1 could fork the chain."""


def perform(state: State, handover: rh.Handover) -> list[Event]:
    """Put the next epoch in charge."""
    former, epoch = state.need(tables.epoch(handover.from_epoch)), state.need(tables.epoch(handover.epoch))
    params = state.need(tables.PARAMS)
    starts_ms = state.block.time_ms + params.serve_delay_ms
    grace_ends_ms = starts_ms + _longest_iat_limit_ms(state) + params.grace_ms
    retired = replace(former, status=RETIRED, serving_until_ms=starts_ms, grace_ends_ms=grace_ends_ms)
    state.put(tables.epoch(former.epoch), retired)
    state.put(tables.epoch(epoch.epoch), replace(epoch, status=SERVING, serving_from_ms=starts_ms))
    state.put(tables.CURRENT_EPOCH, r.CurrentEpoch(epoch.epoch))
    # Suspects and their penalties were of the former committee; counters go on behind those of the resharings.
    state.put(tables.KEYGEN, r.Keygen(next_counter=handover.next_counter))
    votes.drop_all(state, former.n)
    _replace_validators(state, epoch)
    return [
        event("epoch_phase", epoch=epoch.epoch, phase=SERVING),
        event("epoch_phase", epoch=former.epoch, phase=RETIRED),
    ]


def _longest_iat_limit_ms(state: State) -> int:
    """How long the oldest token that the former committee may still be asked about lives."""
    names = state.need(tables.VERIFIER_NAMES).names
    return max((state.need(tables.verifier(name)).iat_limit_s for name in names), default=0) * 1_000


def _replace_validators(state: State, epoch: r.Epoch) -> None:
    before = {key for key, _ in state.need(tables.VALIDATORS).members}
    after = {member.consensus for member in epoch.members}
    if len(after) != epoch.n or any(len(key) != 32 for key in after):
        raise ValueError("the next committee's consensus keys are not n distinct ones")
    state.validator_updates = tuple((key, POWER if key in after else 0) for key in sorted(before ^ after))
    state.put(tables.VALIDATORS, r.ValidatorSet(tuple((key, POWER) for key in sorted(after))))
