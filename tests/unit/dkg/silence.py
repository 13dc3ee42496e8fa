"""One dealer keeps its list, one machine is under test: the steps of a fallback up to where a test wants it."""

import msgspec

from authnet_core.protocol.dkg import fallback
from authnet_core.protocol.dkg.effects import Effect
from authnet_core.protocol.dkg.machine import Session
from authnet_core.protocol.dkg.messages import (
    ChainMessage,
    FallbackList,
    FallbackScalar,
    Parts,
)
from authnet_core.protocol.dkg.stage_keys import OPENED_TIMER
from authnet_core.protocol.views import FallbackView
from tests.unit.dkg.driving import submits
from tests.unit.dkg.lying import (
    HONEST,
    Told,
    answers,
    live,
    part,
    shown_fallback,
)

SILENT, ME = 4, 3
"""The dealer that keeps its list, and the machine under test."""
HOLDERS = (1, 2, 3, 5)
LISTS = {j: part(HONEST, SILENT, j) for j in HOLDERS}
NOTHING = FallbackView(lists={})


def fallback_messages(effects: list[Effect]) -> list[ChainMessage]:
    return [m for m in submits(effects) if isinstance(m, FallbackList | FallbackScalar)]


def waiting(me: int = ME) -> tuple[Session, Told, list[Effect]]:
    """All lists of Q are there but that of SILENT, whose deadline is over."""
    told = Told(HONEST)
    machine, effects = live(me, told, HONEST, without_list=SILENT)
    effects += machine.on_chain(told.to("certified").view)
    effects += machine.on_timer(OPENED_TIMER)
    told.fallbacks = {SILENT: NOTHING}
    return machine, told, effects


def challenged(me: int = ME) -> tuple[Session, Told, list[Effect]]:
    """The challenge is fixed in the newest block."""
    machine, told, effects = waiting(me)
    effects += machine.on_chain(told.next().view)
    told.next()
    told.fallbacks = {SILENT: shown_fallback(LISTS, SILENT, told.chain.height)}
    effects += machine.on_chain(told.view)
    return machine, told, effects


def answered(told: Told, scalars: dict[int, bytes]) -> Told:
    """All of `scalars` are on chain."""
    shown = told.fallbacks[SILENT]
    told.fallbacks = {SILENT: msgspec.structs.replace(shown, scalars={j: w.hex() for j, w in scalars.items()})}
    return told


def good_scalars(told: Told, holders: tuple[int, ...] = HOLDERS) -> dict[int, bytes]:
    return answers(HONEST, SILENT, told.fallbacks[SILENT].seed, holders)


def another(told: Told) -> Told:
    """The same session on another branch: n-t other members were first."""
    lists = {j: part(HONEST, SILENT, j) for j in (2, 3, 4, 5)}
    told.fallbacks = {SILENT: shown_fallback(lists, SILENT, told.fallbacks[SILENT].seed_height)}
    return told


def open_all(machine: Session, told: Told, lists: dict[int, Parts] | None = None) -> list[Effect]:
    answered(told, good_scalars(told))
    effects = machine.on_chain(told.next().view)
    for holder, list_ in (lists or LISTS).items():
        if holder != ME:
            effects += machine.handle(holder, list_)
    return effects


def opened_points(machine: Session) -> bytes:
    return b"".join(map(fallback.point64, machine._state.held.points[SILENT]))
