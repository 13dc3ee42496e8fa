"""What a run came to, as one object (schema 1) and as lines. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from localnet.chaos.lights import Light
from localnet.chaos.record import Episode
from localnet.chaos.run import Outcome

SCHEMA = 1


def spread(values: Sequence[float]) -> dict[str, float | None]:
    """Median and worst; None of nothing."""
    if not values:
        return {"p50": None, "max": None}
    ordered = sorted(values)
    return {"p50": round(ordered[(len(ordered) - 1) // 2], 2), "max": round(ordered[-1], 2)}


def as_object(outcome: Outcome) -> dict[str, Any]:
    """The answer of `--json`."""
    record, wish = outcome.record, outcome.order.wish
    gaps = record.gaps(outcome.seconds)
    return {
        "schema": SCHEMA,
        "ok": outcome.ok,
        "seed": wish.seed,
        "nodes": wish.nodes,
        "faulty": wish.faulty.value,
        "seconds": round(outcome.seconds, 1),
        "steps": {"drawn": len(outcome.schedule), "done": len(record.episodes)},
        "lights": [
            {
                "name": light.name.lower(),
                "text": light.value,
                "green": not record.lights.broken[light],
                "checks": record.lights.checks[light],
                "broken": record.lights.broken[light],
            }
            for light in Light
        ],
        "violations": [
            {"at_s": round(v.at_s, 1), "step": v.step, "light": v.light.name.lower(), "text": v.text}
            for v in record.lights.violations
        ],
        "back_s": {
            "login": spread([e.service_s for e in record.episodes if e.service_s is not None]),
            "nodes": spread([e.nodes_s for e in record.episodes if e.nodes_s is not None]),
        },
        "gaps": {"count": len(gaps), "longest_s": round(max((b - a for a, b in gaps), default=0.0), 1)},
        "kept_waiting": {
            "longest_s": round(record.stall_s, 2),
            "share": round(record.stalled_s / max(outcome.seconds, 1.0), 3),
        },
        "outcomes": {what: dict(counts) for what, counts in sorted(record.outcomes().items())},
        "looked_at": outcome.looked_at,
        "episodes": [_episode(episode) for episode in record.episodes],
    }


def _episode(episode: Episode) -> dict[str, Any]:
    return {
        "step": episode.step.number,
        "faults": [{"kind": f.kind.value, "node": f.node, "what": f.what} for f in episode.step.faults],
        "begun_s": round(episode.begun_s, 1),
        "healed_s": round(episode.healed_s, 1),
        "login_back_s": None if episode.service_s is None else round(episode.service_s, 2),
        "nodes_back_s": None if episode.nodes_s is None else round(episode.nodes_s, 2),
    }


def first_failure(outcome: Outcome) -> str:
    """Seed and step of what broke first; empty when nothing did."""
    violations = outcome.record.lights.violations
    if outcome.ok or not violations:
        return ""
    first = min(violations, key=lambda violation: violation.at_s)
    return f"FAILED with seed {outcome.order.wish.seed} at step {first.step}: {first.light.value}: {first.text}"


def figures(outcome: Outcome) -> list[tuple[str, str]]:
    """Name and value of what a reader wants first."""
    found = as_object(outcome)
    rows = [
        ("seed", str(found["seed"])),
        ("steps", f"{found['steps']['done']} of {found['steps']['drawn']} in {found['seconds']:.0f} s"),
        ("login after a heal", _both(found["back_s"]["login"])),
        ("all nodes hold all after a heal", _both(found["back_s"]["nodes"])),
        ("longest time without a login", f"{found['gaps']['longest_s']} s"),
    ]
    waited = found["kept_waiting"]
    rows.append(("the machine kept this program waiting", f"{waited['share']:.0%}, at most {waited['longest_s']} s"))
    for what, counts in found["outcomes"].items():
        rows.append((what, ", ".join(f"{count} {code}" for code, count in sorted(counts.items()))))
    if found["looked_at"]:
        rows.append(("looked at in the end", ", ".join(f"{n} {what}" for what, n in found["looked_at"].items())))
    return rows


def _both(found: dict[str, float | None]) -> str:
    if found["p50"] is None:
        return "nothing was measured"
    return f"{found['p50']} s (p50), {found['max']} s (max)"
