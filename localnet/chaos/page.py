"""The report as one HTML page that needs nothing else: lights, figures, and a timeline drawn as SVG. Pure."""

from __future__ import annotations

from collections import Counter
from html import escape

from localnet.chaos import report
from localnet.chaos.record import LOGINS, Episode
from localnet.chaos.run import Outcome

WIDTH, LEFT, RIGHT = 1100, 120, 20
ROW, BARS = 22, 60
"""Height of a node's row, and of the logins' columns."""
COLOURS = ("#4c78a8", "#f58518", "#72b7b2", "#b279a2", "#9d755d", "#54a24b", "#eeca3b", "#ff9da6", "#79706e")
GOOD, BAD, GAP, BACK = "#2e8b57", "#c0392b", "#f6d5d2", "#e4e4e4"
STYLE = (
    "body{font:15px/1.45 system-ui,sans-serif;max-width:1140px;margin:2em auto;padding:0 1em;color:#222}"
    "table{border-collapse:collapse;margin:1em 0}td,th{padding:.2em .9em .2em 0;text-align:left;vertical-align:top}"
    ".on{color:#2e8b57}.off{color:#c0392b}svg{max-width:100%;height:auto}text{font:12px system-ui,sans-serif}"
)


def render(outcome: Outcome) -> str:
    """The whole page."""
    found = report.as_object(outcome)
    word = "all lights green" if outcome.ok else "FAILED"
    title = f"Chaos, seed {found['seed']}, {found['nodes']} nodes: {word}"
    parts = [
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{escape(title)}</title><style>{STYLE}</style>",
        f"<h1>{escape(title)}</h1>",
        _lights(found["lights"]),
        "<h2>Timeline</h2>",
        _Timeline(outcome).svg(),
        _table("Figures", [(name, value) for name, value in report.figures(outcome)]),
        _violations(found["violations"]),
        _table("Steps", [(str(step.number), str(step).partition(": ")[2]) for step in outcome.schedule]),
        "</html>",
    ]
    return "\n".join(parts)


def _lights(lights: list[dict[str, object]]) -> str:
    rows = "".join(
        f"<tr><td class={'on' if light['green'] else 'off'}>&#9679;</td><td>{escape(str(light['text']))}</td>"
        f"<td>{light['checks']} checks</td><td>{light['broken'] or ''}</td></tr>"
        for light in lights
    )
    return f"<table>{rows}</table>"


def _table(title: str, rows: list[tuple[str, str]]) -> str:
    body = "".join(f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in rows)
    return f"<h2>{escape(title)}</h2><table>{body}</table>"


def _violations(found: list[dict[str, object]]) -> str:
    rows = [(f"{v['at_s']} s, step {v['step']}", f"{v['light']}: {v['text']}") for v in found]
    return _table("What broke", rows) if rows else ""


class _Timeline:
    """Faults as bars per node, successful and failed logins per second, time without logins."""

    def __init__(self, outcome: Outcome) -> None:
        self._outcome = outcome
        ends = [episode.over_s for episode in outcome.record.episodes]
        self._seconds = max([outcome.seconds, *ends, 1.0])
        self._rows = outcome.order.wish.nodes + 1
        self._kinds = sorted({f.kind.value for step in outcome.schedule for f in step.faults})
        self._plot = 30 + self._rows * ROW
        self._base = self._plot + 20 + BARS

    def svg(self) -> str:
        height = self._base + BARS + 40 + 16 * (1 + len(self._kinds) // 6)
        parts = [f'<svg viewBox="0 0 {WIDTH} {height}" role="img">', self._gaps(), self._axis(), self._names()]
        parts += [self._bar(episode) for episode in self._outcome.record.episodes]
        parts += [self._columns(), self._legend(), "</svg>"]
        return "\n".join(parts)

    def _x(self, second: float) -> float:
        return round(LEFT + (WIDTH - LEFT - RIGHT) * second / self._seconds, 1)

    def _colour(self, kind: str) -> str:
        return COLOURS[self._kinds.index(kind) % len(COLOURS)]

    def _gaps(self) -> str:
        gaps = self._outcome.record.gaps(self._outcome.seconds)
        return "".join(_rect(self._x(a), 20, self._x(b) - self._x(a), self._base + BARS - 20, GAP) for a, b in gaps)

    def _axis(self) -> str:
        step = next((s for s in (5, 10, 30, 60, 120, 300) if self._seconds / s <= 20), 600)
        marks = range(0, int(self._seconds) + 1, step)
        y = self._base + BARS
        return "".join(
            f'<line x1="{self._x(s)}" y1="20" x2="{self._x(s)}" y2="{y}" stroke="{BACK}"/>'
            f'<text x="{self._x(s)}" y="14" text-anchor="middle">{s} s</text>'
            for s in marks
        )

    def _names(self) -> str:
        names = [*(f"node {index}" for index in range(1, self._rows)), "outside"]
        rows = "".join(f'<text x="4" y="{30 + i * ROW + 14}">{name}</text>' for i, name in enumerate(names))
        logins = f'<text x="4" y="{self._base - 20}">logins/s</text><text x="4" y="{self._base + 30}">refused/s</text>'
        return rows + logins

    def _bar(self, episode: Episode) -> str:
        """The fault in full colour, the way back after it lighter."""
        begun, healed, over = (self._x(at) for at in (episode.begun_s, episode.healed_s, episode.over_s))
        parts = []
        for fault in episode.step.faults:
            y = 30 + ((fault.node or self._rows) - 1) * ROW + 3
            colour, title = self._colour(fault.kind.value), escape(f"step {episode.step.number}: {fault}")
            parts.append(f"<g><title>{title}</title>")
            parts.append(_rect(begun, y, max(healed - begun, 2), ROW - 6, colour))
            parts.append(_rect(healed, y + 6, max(over - healed, 1), ROW - 18, colour))
            parts.append(f'<text x="{begun + 2}" y="{y + 12}" fill="#fff">{episode.step.number}</text></g>')
        return "".join(parts)

    def _columns(self) -> str:
        samples = [s for s in self._outcome.record.samples if s.what in LOGINS]
        good = Counter(int(s.end_s) for s in samples if not s.code)
        bad = Counter(int(s.end_s) for s in samples if s.code)
        most = max([*good.values(), *bad.values(), 1])
        width = max(self._x(1) - self._x(0) - 0.5, 0.8)
        up = (_rect(self._x(s), self._base - BARS * n / most, width, BARS * n / most, GOOD) for s, n in good.items())
        down = (_rect(self._x(s), self._base + 2, width, BARS * n / most, BAD) for s, n in bad.items())
        return "".join([*up, *down])

    def _legend(self) -> str:
        y = self._base + BARS + 28
        return "".join(
            f"<g>{_rect(LEFT + 160 * (i % 6), y + 16 * (i // 6) - 9, 10, 10, self._colour(kind))}"
            f'<text x="{LEFT + 160 * (i % 6) + 14}" y="{y + 16 * (i // 6)}">{escape(kind)}</text></g>'
            for i, kind in enumerate(self._kinds)
        )


def _rect(x: float, y: float, width: float, height: float, colour: str) -> str:
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{colour}"/>'
