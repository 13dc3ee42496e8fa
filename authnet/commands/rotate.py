"""`authnet localnet rotate`: begin a hand-over and follow it until the new committee serves."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec

from authnet.commands.options import ask_daemon, local_network
from authnet.commands.welcome import Board
from authnet.output import SCHEMA, Output
from authnet_core.errors import AuthnetError, Code
from authnet_core.protocol.handover import holdups
from authnet_core.protocol.selftest import SelfTest
from authnet_core.protocol.views import HandoverView, ReshareView
from localnet import stages
from localnet.discovery import ask_chain
from localnet.lifecycle import Step
from localnet.places import Places
from localnet.selftest import ask_members

POLL_S = 0.2
BEGIN_LIMIT_S = 120.0
ORDER = ("registering", "announced", "joining", "resharing", "switching", "taking over", "doors")


@dataclass(slots=True)
class Journey:
    """One hand-over as seen from outside: when each phase was first seen, and the last thing known of it."""

    places: Places
    epoch: int
    began: float = field(default_factory=time.monotonic)
    seen: dict[str, float] = field(default_factory=dict)
    last: HandoverView | None = None
    end: dict[str, Any] = field(default_factory=dict)

    def steps(self, limit_s: float) -> Iterator[Step]:
        """Progress until the new committee serves. Raises AuthnetError (EPOCH_STUCK) when it will not."""
        shown = ("", "")
        while True:
            phase, text = self._look()
            if phase == "done":
                self._enter("done")
                yield Step(ORDER[-1], "done", "every new door is open", self._ms())
                return
            if phase not in self.seen:
                if self.seen:
                    yield Step(list(self.seen)[-1], "done", shown[1], self._ms())
                self._enter(phase)
            if (phase, text) != shown:
                shown = (phase, text)
                yield Step(phase, "doing", text, self._ms())
            if time.monotonic() - self.began > limit_s:
                raise AuthnetError(Code.EPOCH_STUCK, f"still {phase} after {limit_s:g} s: {text}")
            time.sleep(POLL_S)

    def phases(self) -> list[dict[str, Any]]:
        """[{phase, ms}] in the order they were seen."""
        marks = list(self.seen.items())
        return [{"phase": phase, "ms": round((after - at) * 1000)} for (phase, at), (_, after) in pairwise(marks)]

    def _enter(self, phase: str) -> None:
        self.seen[phase] = time.monotonic()

    def _ms(self) -> int:
        return round((time.monotonic() - self.began) * 1000)

    def _look(self) -> tuple[str, str]:
        """(phase, one line about it)."""
        raw = self._ask("/handover")
        handover = msgspec.convert(raw, HandoverView, str_keys=True) if raw is not None else None
        if handover is not None and handover.committee.epoch == self.epoch:
            self.last = handover
            return handover.phase, self._line(handover)
        if not self.end:
            ends = self._ask("/handovers") or []
            self.end = next((end for end in ends if end["epoch"] == self.epoch), {})
        if not self.end:
            have, wanted = stages.registered(self.places, self.epoch)
            return "registering", f"members at the contract: {have}/{wanted}"
        if self.end["outcome"] != "switched":
            text = f"the hand-over to epoch {self.epoch} ended: {self.end['outcome']} {self.end['reason']}".rstrip()
            raise AuthnetError(Code.EPOCH_STUCK, text)
        return self._after_switch()

    def _after_switch(self) -> tuple[str, str]:
        serving = self._ask("/epoch/serving") or {}
        if serving.get("epoch", 0) < self.epoch:
            return "taking over", "the former committee serves until the new one's interval begins"
        nodes = self.places.committee(self.epoch)
        shut = [index for index in nodes if not stages.is_open(self.places, index)]
        return ("doors", f"doors that are shut: {shut}") if shut else ("done", "")

    def _line(self, handover: HandoverView) -> str:
        reshares = [
            msgspec.convert(r, ReshareView, str_keys=True) for r in (self._ask("/reshares") or {}).get("open", ())
        ]
        former = self._ask(f"/epoch/{handover.from_epoch}") or {"n": 0}
        waiting = ", ".join(str(h) for h in holdups(handover, reshares, former["n"])[:3])
        match handover.phase:
            case "announced":
                return "the chain knows who comes"
            case "joining":
                return f"new nodes ready: {len(handover.ready_nodes)}/{handover.committee.n}"
            case _:
                return f"keys moved: {handover.keys_done}/{handover.keys}{f' ({waiting})' if waiting else ''}"

    def _ask(self, path: str) -> Any:
        try:
            return ask_chain(self.places, path)
        except AuthnetError as error:
            if error.code in (Code.NOT_FOUND, Code.NETWORK_DOWN, Code.UNAVAILABLE, Code.TIMEOUT):
                return None
            raise


def run(out: Output, folder: Path, wish: dict[str, Any], wait_s: float) -> None:
    """Rotate and print how it went. Raises AuthnetError."""
    begun = time.monotonic()
    plan = ask_daemon(folder, "rotate", wish, timeout=BEGIN_LIMIT_S)
    places = local_network(folder)
    if not out.json:
        sys.stderr.write(_intent(plan) + "\n")
    if not wait_s:
        if out.json:
            out.emit({"schema": SCHEMA, **plan})
        return
    journey = Journey(places, plan["epoch"], began=begun)
    with Board(quiet=out.json) as board:
        for step in journey.steps(wait_s):
            board.show(step)
    tested = ask_members(places, plan["epoch"])
    last = journey.last
    result = {
        "schema": SCHEMA,
        **plan,
        "keys": last.keys if last else 0,
        "batches": last.batches if last else 0,
        "switch_height": journey.end.get("height", 0),
        "phases": journey.phases(),
        "self_test": msgspec.to_builtins(tested),
        "ms": round((time.monotonic() - begun) * 1000),
    }
    if not out.json:
        _show(out, result, tested)
    if tested.refusal is not None:
        out.fail(tested.refusal, result)
    if out.json:
        out.emit(result)


def _intent(plan: dict[str, Any]) -> str:
    parts = (("come", plan["new"]), ("stay", plan["stayed"]), ("leave", plan["left"]))
    said = [f"{', '.join(map(str, nodes))} {what}" for what, nodes in parts if nodes]
    return f"epoch {plan['from_epoch']} -> {plan['epoch']}: nodes {'; '.join(said)}"


def _show(out: Output, result: dict[str, Any], tested: SelfTest) -> None:
    fields = {entry["phase"]: f"{entry['ms'] / 1000:.1f} s" for entry in result["phases"]}
    fields["all"] = f"{result['ms'] / 1000:.1f} s, {result['keys']} keys in {result['batches']} batches"
    fields["self-test"] = str(tested)
    out.fields(f"epoch {result['epoch']} serves", fields)
