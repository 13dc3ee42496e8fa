"""The ways in which a keeper lies: each bends one place of the real keeper, everything else is as shipped.

What is on the liar's disk is such that the honest keeper can go on from it: a node that stops lying is a node that
was attacked, not a node with a broken disk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from authnet_core.crypto.secp256k1 import Q
from authnet_core.protocol.dkg import complaint, records, stage_deal
from authnet_core.protocol.dkg.deal import Dealing
from authnet_core.protocol.dkg.effects import Effect, Send, SendAll, Submit
from authnet_core.protocol.dkg.messages import Ack, Bundle, Final, Opened, PointList
from authnet_core.protocol.dkg.state import State
from p2p_dkg.login import service
from p2p_dkg.login.receipt_desk import ReceiptDesk
from p2p_dkg.runner import sessions
from p2p_dkg.runner.driver import Driver
from tests.liars.resharing import NEW_LIES, OLD_LIES, lie_in_resharings
from tests.sim.evil import evil_dealing
from tests.sim.lies_talk import spoilt

Twist = Callable[[State, Effect], Iterable[Effect]]


AS_TOLD = "as-told"
"""Lies while keys move, each time in the way that NODE/run/lie names; what is told is noted in NODE/run/lies."""


def take_on(strategy: str, node: Path) -> None:
    """Bend the keeper of `node`, this process. Raises KeyError for a strategy that there is not."""
    run = node / "run"
    if strategy in STRATEGIES:
        STRATEGIES[strategy]()
    elif strategy == AS_TOLD:
        lie_in_resharings(lambda _: _first_line(run / "lie"), partial(_note, run / "lies"))
    elif strategy in RESHARING:
        lie = strategy.removeprefix(MOVING)
        lie_in_resharings(lambda _: lie, partial(_note, run / "lies"))
    else:
        raise KeyError(strategy)


def _first_line(path: Path) -> str:
    return path.read_text().strip() if path.exists() else ""


def _note(path: Path, lie: str) -> None:
    with path.open("a") as file:
        file.write(f"{lie}\n")


# ---- dealings


def _deal_badly(how: str) -> None:
    """The honest deal is on disk, the bad one leaves."""
    original = stage_deal._deal_on_disk
    bad: dict[bytes, Dealing] = {}

    def deal(state: State) -> tuple[list[Effect], Dealing]:
        effects, honest = original(state)
        sid = state.params.sid
        if honest is bad.get(sid):
            return effects, honest
        bad[sid] = evil_dealing(state.params, state.me, bytes(state.seed), how)
        state.adopt(bad[sid])
        state.own_stored = True
        return [*effects, state.share_store(state.me), records.store_bundle(bad[sid].bundle)], bad[sid]

    stage_deal._deal_on_disk = deal


# ---- what leaves the machine


def _twist(twist: Twist) -> None:
    class LyingDriver(Driver):
        async def _carry_out_one(self, effect: Effect) -> None:
            for each in twist(self.machine._state, effect):
                await super()._carry_out_one(each)

    sessions.Driver = LyingDriver


def _silent_after_q(state: State, effect: Effect) -> list[Effect]:
    """Deals and acknowledges as it should; once Q is fixed it says nothing more."""
    match effect:
        case Submit(Opened() | Final()) | Send(_, PointList()) | SendAll(PointList()):
            return []
    return [effect]


def _wrong_root(state: State, effect: Effect) -> list[Effect]:
    match effect:
        case Submit(Final(sid, root)):
            return [Submit(Final(sid, bytes([root[0] ^ 1]) + root[1:]))]
    return [effect]


def _equivocate(state: State, effect: Effect) -> list[Effect]:
    """Members with even indexes are told something else."""
    match effect:
        case Send(to, Bundle() | PointList() as message) if to % 2 == 0:
            return [Send(to, spoilt(message))]
        case SendAll(Bundle() | PointList() as message):
            others = [j for j in state.params.parties if j != state.me]
            return [Send(j, spoilt(message) if j % 2 == 0 else message) for j in others]
    return [effect]


def _complain_falsely(state: State, effect: Effect) -> list[Effect]:
    """With every ACK a complaint about a dealer whose share is good."""
    match effect:
        case Submit(Ack()) if state.picture is not None and state.ek:
            dealer = state.me % state.params.committee.n + 1
            bundle, deal = state.held.bundles.get(dealer), state.picture.deals.get(dealer)
            if bundle is not None and deal is not None:
                false = complaint.make_complaint(state.params, state.me, deal, bundle, bytes(state.ek))
                return [effect, Submit(false)]
    return [effect]


# ---- logins


def _junk_shares() -> None:
    original = service.build_answer

    def build(session: Any, key: Any, share: Any, signer: Any, **options: Any) -> dict[str, Any]:
        return original(session, key, replace(share, x=(share.x + 1) % Q), signer, **options)

    service.build_answer = build


def _junk_receipts() -> None:
    original = ReceiptDesk._sign

    def sign(self: ReceiptDesk, token_hash: bytes, bound: Any, index: int) -> Any:
        return original(self, bytes(reversed(token_hash)), bound, index)

    ReceiptDesk._sign = sign


STRATEGIES: dict[str, Callable[[], None]] = {
    "bad-share": lambda: _deal_badly("one bad share"),
    "wrong-degree": lambda: _deal_badly("wrong degree"),
    "wrong-list": lambda: _deal_badly("wrong list"),
    "silent-after-q": lambda: _twist(_silent_after_q),
    "wrong-root": lambda: _twist(_wrong_root),
    "equivocation": lambda: _twist(_equivocate),
    "false-complaint": lambda: _twist(_complain_falsely),
    "junk-shares": _junk_shares,
    "junk-receipts": _junk_receipts,
}
MOVING = "moving/"
RESHARING = tuple(MOVING + lie for lie in (*OLD_LIES, *NEW_LIES))
"""Told only while keys move."""
