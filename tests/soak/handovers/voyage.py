"""Hand-overs one after another, each followed on the chain; at each boundary somebody dies if the plan says so.

One is dead at a time: the next kill waits until the one before is back. Former committees go on through their grace
beside the next hand-over, and are struck when that ends.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from authnet_core.protocol.views import EpochView, HandoverEndView, HandoverView, PoolView, ResharesView
from tests.e2e.net import PATIENCE, wait_for
from tests.soak.handovers.plan import Plan, Roles, roles_of, side_name
from tests.soak.handovers.scene import Scene

Say = Callable[[str], None]
LIMIT_S = 240.0
POLL_S = 0.03
NOTICE_S = 25
"""While kills in `announced` are left; a few fit."""
GRACE_KILLS = 4
"""In one hand-over's grace, before the next begins."""
STEPS = ("deal", "test", "ack", "ready")


@dataclass
class Former:
    """A committee that hands over: until all of it have erased."""

    epoch: int
    roles: Roles
    grace_ends_ms: int


@dataclass
class Voyages:
    """The hand-overs of one soak."""

    scene: Scene
    plan: Plan
    say: Say
    hurry: Callable[[bool], None]
    """Whether many new users shall come, so that keys are made."""
    formers: list[Former] = field(default_factory=list)
    kills: int = 0
    slowest: tuple[float, str] = (0.0, "none")
    _struck: set[tuple[str, str]] = field(default_factory=set)
    """Resharing steps that were looked at already: a kill comes at a step's begin."""

    def make(self, *options: str) -> dict[str, Any]:
        """One hand-over, to the end: the new committee serves. Raises AssertionError if it comes to nothing."""
        notice = NOTICE_S if self.plan.wants("announced") else 0
        begun = self.scene.net.cli(
            "localnet", "rotate", *options, "--notice-s", str(notice), "--wait-s", "0", timeout=400
        )
        assert isinstance(begun, dict)
        epoch, old = begun["epoch"], self.scene.places.committee(begun["from_epoch"])
        roles = roles_of(old, begun["nodes"])
        name = f"epoch {begun['from_epoch']} -> {epoch} {' '.join(options) or 'disjoint'}"
        self.say(f"{name}: nodes {list(old)} -> {begun['nodes']}")
        began, before = time.monotonic(), self.kills
        self._until_switched(epoch, roles)
        took = time.monotonic() - began - notice
        self._take_over(epoch, begun["from_epoch"], roles)
        self.slowest = max(self.slowest, (took, name))
        self.say(f"{name}: switched after {took:.0f} s without the notice, {self.kills - before} kills")
        return begun

    def _until_switched(self, epoch: int, roles: Roles) -> None:
        end = time.monotonic() + LIMIT_S * PATIENCE
        while True:
            assert time.monotonic() < end, f"epoch {epoch} is not in charge after {LIMIT_S * PATIENCE:g} s"
            handover = self.scene.ask("/handover", HandoverView)
            self.hurry(handover is not None and self._lacks_a_session(handover))
            if handover is None or not self._awaits_its_end(handover):
                self.at_ends()
            if handover is not None and handover.committee.epoch == epoch:
                self._at_boundaries(self._boundaries(handover), roles)
            elif (ended := self._end_of(epoch)) is not None:
                assert ended.outcome == "switched", f"epoch {epoch} ended: {ended.outcome} {ended.reason}"
                return
            time.sleep(POLL_S)

    def _end_of(self, epoch: int) -> HandoverEndView | None:
        ends = self.scene.ask("/handovers", list[HandoverEndView]) or []
        return next((end for end in ends if end.epoch == epoch), None)

    def _awaits_its_end(self, handover: HandoverView) -> bool:
        """Whether its last moments, a block or two, are near and wanted: nobody dies until they are there."""
        is_near = handover.frozen or handover.batches_done >= handover.batches - 1
        wanted = self.plan.wants("frozen") + self.plan.wants("switching")
        return handover.phase == "resharing" and is_near and wanted > 0

    def _lacks_a_session(self, handover: HandoverView) -> bool:
        """Whether the last batch moves and no key is being made, so that `frozen` would be skipped."""
        if not self.plan.wants("frozen") or handover.frozen or handover.batches_done < handover.batches - 1:
            return False
        return handover.phase == "resharing" and self.scene.need("/pool", PoolView).under_way == 0

    def _boundaries(self, handover: HandoverView) -> Iterator[str]:
        """Where the hand-over is now. Steps of resharings are told once each."""
        if handover.phase != "resharing":
            yield handover.phase
            return
        if handover.frozen and self.plan.wants("frozen") >= self.plan.wants("switching"):
            yield "frozen"  # in another hand-over `switching`: who dies at the one is often not back at the other
        if self._awaits_its_end(handover):
            return
        reshares = self.scene.ask("/reshares", ResharesView)
        for view in reshares.open if reshares is not None else ():
            if view.phase in STEPS and (view.rid, view.phase) not in self._struck:
                self._struck.add((view.rid, view.phase))
                yield view.phase

    def _at_boundaries(self, boundaries: Iterator[str], roles: Roles) -> None:
        """One kill at most: what was seen is old after it."""
        for boundary in boundaries:
            if self._strike(boundary, roles):
                return

    def _strike(self, boundary: str, roles: Roles) -> bool:
        places = self.scene.places
        there = {node: sides for node, sides in roles.items() if node not in places.retired}
        drawn = self.plan.draw(boundary, there)
        if drawn is None:
            return False
        kind, victim = drawn
        began = time.monotonic()
        if not self.scene.strike(victim, kind):
            self.plan.put_off(boundary, kind, roles[victim])
            return False
        self.kills += 1
        self.plan.count(boundary, kind, roles[victim])
        self.say(
            f"kill {self.kills:3d}  {boundary:10s} {kind:13s} node {victim:2d} ({side_name(roles[victim])})  "
            f"back in {time.monotonic() - began:4.1f} s"
        )
        return True

    def _take_over(self, epoch: int, former: int, roles: Roles) -> None:
        """From the switch on until the new committee serves and some kills of the grace are done."""
        starts_ms = self.scene.need(f"/epoch/{epoch}", EpochView).serving_from_ms
        retired = self.scene.need(f"/epoch/{former}", EpochView)
        self.formers.append(Former(former, roles, retired.grace_ends_ms))
        while self.scene.now_ms() < starts_ms:
            self.at_ends()
            self._strike("before A", roles)
            time.sleep(POLL_S)
        wait_for(f"epoch {epoch} to serve", 60, lambda: self.scene.serving().epoch == epoch)
        for _ in range(GRACE_KILLS):
            if self.scene.now_ms() < retired.grace_ends_ms:
                self._strike("grace", roles)

    def at_ends(self) -> None:
        """Strike in committees whose grace has ended, until all of them have erased."""
        for former in list(self.formers):
            if self.scene.now_ms() < former.grace_ends_ms:
                continue
            view = self.scene.need(f"/epoch/{former.epoch}", EpochView)
            if len(view.erased) == view.n:
                self.formers.remove(former)
                self.say(f"epoch {former.epoch}: all {view.n} have erased")
            else:
                self._strike("erasure", former.roles)

    def finish(self) -> None:
        """Until every former committee has erased."""

        def over() -> bool:
            self.at_ends()
            return not self.formers

        wait_for("all former committees to erase", 300, over)
