"""The live picture: every light with its colour, and what is being done."""

from __future__ import annotations

import io
from pathlib import Path

from rich.console import Console

from authnet.commands.chaos_view import draw
from localnet.chaos.lights import Light
from localnet.chaos.record import Sample
from localnet.chaos.run import Order, Run
from localnet.chaos.schedule import Wish
from localnet.places import Places


def picture(run: Run) -> str:
    paper = io.StringIO()
    Console(file=paper, width=120, force_terminal=True, color_system="standard").print(draw(run))
    return paper.getvalue()


def test_a_broken_light_is_red_a_seen_one_green_and_one_never_looked_at_is_neither(tmp_path: Path) -> None:
    run = Run(Order(Places(tmp_path, 5, 9000, "n"), Wish(1, 1, 5)), lambda _: None)
    run.now_doing = "step  1: [red]stop"
    run.watch.heights[3] = 77
    run.record.check(Light.KEYS, True, "")
    run.record.check(Light.TOKENS, False, "a share")
    run.record.samples += [Sample(0.0, "one-round login", 5.0), Sample(0.0, "two-round login", 5.0, "BUSY")]
    lines = picture(run).splitlines()
    by_light = {light: next(line for line in lines if light.value in line) for light in Light}
    assert "\x1b[32m●" in by_light[Light.KEYS]
    assert "\x1b[31m●" in by_light[Light.TOKENS]
    assert "1 broken" in by_light[Light.TOKENS]
    assert "\x1b[2m●" in by_light[Light.HASHES]
    text = picture(run)
    assert "[red]stop" in text
    assert "1 good, 1 refused" in text
    assert "node 3: 77" in text
