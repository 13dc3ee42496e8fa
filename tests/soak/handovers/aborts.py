"""The owner calls a hand-over off in each phase that can be left, with kills beside it: the old committee serves on.

A phase is held open for the call: the notice by its length, joining and resharing by new nodes that stay down.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from authnet_core.protocol.views import EpochView, HandoverEndView, HandoverView
from tests.e2e.net import PROCESSES, wait_for
from tests.soak.handovers.proofs import Evidence
from tests.soak.handovers.scene import Scene

PHASES = ("announced", "joining", "resharing")
"""`switching` lasts a block: the call comes too late for it."""
LONG_NOTICE_S = 3_600


def all_phases(scene: Scene, evidence: Evidence, random: Random, say: Callable[[str], None]) -> None:
    """One hand-over called off in each phase. Raises AssertionError if anything of it stays."""
    for phase in PHASES:
        _call_off(scene, phase, random, say)
        evidence.check_points()
        evidence.check_users()


def _call_off(scene: Scene, phase: str, random: Random, say: Callable[[str], None]) -> None:
    before = scene.need("/epoch/current", EpochView)
    old = scene.places.committee(before.epoch)
    notice = LONG_NOTICE_S if phase == "announced" else 0
    begun = scene.net.cli("localnet", "rotate", "--notice-s", str(notice), "--wait-s", "0", timeout=400)
    epoch, down = begun["epoch"], [] if phase == "announced" else list(begun["new"])[:1]
    wait_for("it is announced", 60, lambda: _phase(scene, epoch))
    for node in down:
        scene.kill(node)  # n' are awaited in joining, and n' - t' after join_wait_ms
    wait_for(f"the phase is {phase}", 120, lambda: _phase(scene, epoch) == phase)
    if phase == "resharing":
        down.append(begun["new"][1])
        scene.kill(down[-1])  # fewer than n' - t' of them move nothing
    kinds = [random.choice(PROCESSES) for _ in range(2)]
    scene.strike(random.choice(old), kinds[0])
    assert _phase(scene, epoch) == phase, f"{phase} was over before the call"
    scene.net.cli("epoch", "abort", str(epoch), timeout=120)
    scene.strike(random.choice(old), kinds[1])
    wait_for("the chain has dropped it", 120, lambda: not _phase(scene, epoch))
    end = scene.need("/handovers", list[HandoverEndView])[0]
    assert (end.epoch, end.outcome) == (epoch, "aborted"), f"epoch {end.epoch} ended: {end.outcome}"
    assert scene.need("/epoch/current", EpochView).epoch == before.epoch
    assert scene.serving().epoch == before.epoch
    _check_erased(scene, epoch, [node for node in begun["new"] if node not in down])
    say(f"epoch {epoch}: called off while {phase}, with {kinds[0]} and {kinds[1]} of old members killed beside it")


def _check_erased(scene: Scene, epoch: int, nodes: list[int]) -> None:
    """What the nodes that came had of it is gone: a folder of the epoch, if there is one, says so."""

    folders = [scene.places.node_dir(node) / "keeper" / "epochs" / str(epoch) for node in nodes]

    def left() -> list[str]:
        return [str(folder) for folder in folders if folder.exists() and not (folder / "erased").exists()]

    wait_for(f"nodes {nodes} to erase epoch {epoch}", 30, lambda: not left())


def _phase(scene: Scene, epoch: int) -> str:
    """Of the hand-over to `epoch`, empty when there is none."""
    handover = scene.ask("/handover", HandoverView)
    return handover.phase if handover is not None and handover.committee.epoch == epoch else ""
