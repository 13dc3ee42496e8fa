"""The picture behind `authnet epoch status`: read from one node's chain, as one JSON object, and how people see it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from authnet.output import SCHEMA, Output, printable
from authnet_core.errors import AuthnetError, Code
from authnet_core.protocol.handover import eta_ms, holdups, matrix
from authnet_core.protocol.selftest import SelfTest
from authnet_core.protocol.views import BatchView, EncKeysView, EpochView, HandoverView, ResharesView, ReshareView
from authnet_runtime.retained import RETAINED_PAGE

Ask = Callable[[str], Any]
T = TypeVar("T")
MAX_SAMPLES = 60
HOLDUPS_SHOWN = 6
REGISTRY = ("epoch", "registered", "members", "seats", "waiting_for", "problems")
_ABSENT = frozenset({Code.NOT_FOUND, Code.UNKNOWN_PATH})


def look(ask: Ask, samples: list[tuple[int, int]], watched: dict[str, Any] | None = None) -> dict[str, Any]:
    """Everything about epochs. `samples` [(block time, keys moved)] is kept by the caller for the pace.

    `watched`: the epoch manager's own status, which knows who has yet to register and how the self-test went; None if
    it does not answer.
    Raises AuthnetError when the node does not answer.
    """
    chain, current = ask("/status"), _read(ask, "/epoch/current", EpochView)
    serving, handover = _read(ask, "/epoch/serving", EpochView), _read(ask, "/handover", HandoverView)
    ends = _maybe(ask, "/handovers") or []
    return {
        "schema": SCHEMA,
        "height": chain["height"],
        "time_ms": chain["time_ms"],
        "epoch": current.epoch if current else 0,
        "serving": serving.epoch if serving else 0,
        "n": current.n if current else 0,
        "former": _former(ask, current),
        "short": _short(ask, current) if current else [],
        "self_test": watched.get("self_test") if watched else None,
        "registry": {name: watched[name] for name in REGISTRY} if watched else None,
        "handover": _handover(ask, handover, current, chain["time_ms"], samples) if handover and current else None,
        "ended": ends,
    }


def is_under_way(found: dict[str, Any]) -> bool:
    """Whether there is more to see: a hand-over on chain, or an epoch of the registry that is to come there."""
    registry = found["registry"]
    if found["handover"] is not None or registry is None:
        return found["handover"] is not None
    over = {ended["epoch"] for ended in found["ended"]}
    return int(registry["epoch"]) > found["epoch"] and registry["epoch"] not in over


def _short(ask: Ask, current: EpochView) -> list[dict[str, Any]]:
    """Members in charge that lack batches which they could hold: how many of the first `RETAINED_PAGE` of them."""
    batches = _read(ask, f"/reshares/retained/0/{RETAINED_PAGE}", list[BatchView]) or []
    seats = range(1, current.n + 1)
    lacks = Counter(j for b in batches if b.epoch == current.epoch for j in seats if j not in b.holders)
    return [{"index": j, "batches": count} for j, count in sorted(lacks.items())]


def _former(ask: Ask, current: EpochView | None) -> list[dict[str, Any]]:
    """Retired epochs that have not all erased yet, newest first."""
    found = []
    number = current.epoch - 1 if current else 0
    for epoch in range(number, max(0, number - 4), -1):
        view = _read(ask, f"/epoch/{epoch}", EpochView)
        if view is not None and view.status == "retired" and len(view.erased) < view.n:
            found.append(
                {"epoch": epoch, "grace_ends_ms": view.grace_ends_ms, "erased": list(view.erased), "n": view.n}
            )
    return found


def _handover(
    ask: Ask, handover: HandoverView, current: EpochView, time_ms: int, samples: list[tuple[int, int]]
) -> dict[str, Any]:
    found, posted = _read(ask, "/reshares", ResharesView), _posted(ask, handover)
    waiting = [m for m, count in posted.items() if count]
    reshares = found.open if found else ()
    if handover.phase in ("announced", "joining"):
        samples.clear()  # the pace is that of keys, which do not move yet
    samples.append((time_ms, handover.keys_done))
    del samples[:-MAX_SAMPLES]
    if len(samples) == 1 and handover.phase_ms and handover.phase == "resharing":
        samples.insert(0, (handover.phase_ms, 0))
    return {
        "epoch": handover.committee.epoch,
        "from_epoch": handover.from_epoch,
        "phase": handover.phase,
        "phase_ms": handover.phase_ms,
        "notice_ends_ms": handover.notice_ends_ms,
        "deadline_ms": handover.deadline_ms,
        "record_hash": handover.record_hash,
        "rejected": list(handover.rejected),
        "frozen": handover.frozen,
        "batches": handover.batches,
        "batches_done": handover.batches_done,
        "keys": handover.keys,
        "keys_done": handover.keys_done,
        "keys_s": _pace(samples),
        "eta_ms": eta_ms(handover, samples),
        "nodes": _nodes(handover, posted),
        "held_up_by": [
            {"side": h.side, "index": h.index, "what": h.what} for h in holdups(handover, reshares, current.n, waiting)
        ],
        "reshares": [_reshare(view, current.n, handover.committee.n) for view in reshares],
    }


def _pace(samples: list[tuple[int, int]]) -> float | None:
    (then, before), (now, done) = samples[0], samples[-1]
    return round((done - before) * 1000 / (now - then), 1) if now > then else None


def _posted(ask: Ask, handover: HandoverView) -> dict[int, int]:
    """Next member -> encryption keys that wait."""
    keys = _read(ask, f"/enckeys/{handover.committee.epoch}", EncKeysView)
    return {m.index: max(0, m.last - m.first + 1) for m in keys.members} if keys else {}


def _nodes(handover: HandoverView, posted: dict[int, int]) -> list[dict[str, Any]]:
    """Each incoming member: whether its chain is up and whether it has posted encryption keys."""
    ready = {node.index: node.height for node in handover.ready_nodes}
    return [
        {
            "index": member.index,
            "endpoint": member.endpoint,
            "ready_height": ready.get(member.index, 0),
            "enckeys": posted.get(member.index, 0),
        }
        for member in handover.committee.members
    ]


def _reshare(view: ReshareView, old_n: int, new_n: int) -> dict[str, Any]:
    return {
        "rid": view.rid,
        "first_index": view.first_index,
        "count": view.count,
        "phase": view.phase,
        "attempt": view.attempt,
        "q": list(view.q),
        "matrix": ["".join(cell.mark for cell in row) for row in matrix(view, old_n, new_n)],
        "ready": sorted(view.readies),
    }


def _maybe(ask: Ask, path: str) -> Any:
    try:
        return ask(path)
    except AuthnetError as error:
        if error.code in _ABSENT:
            return None
        raise


def _read(ask: Ask, path: str, kind: type[T]) -> T | None:
    found = _maybe(ask, path)
    return None if found is None else msgspec.convert(found, kind, str_keys=True)


def show(out: Output, found: dict[str, Any]) -> None:
    """Print the picture for people."""
    now, handover = found["time_ms"], found["handover"]
    fields = {"committee": f"epoch {found['epoch']}, n={found['n']}, height {found['height']}"}
    if found["serving"] != found["epoch"]:
        fields["logins"] = f"epoch {found['serving']} still serves until the new one's interval begins"
    for former in found["former"]:
        missing = [j for j in range(1, former["n"] + 1) if j not in former["erased"]]
        when = _in(former["grace_ends_ms"] - now)
        fields[f"epoch {former['epoch']}"] = f"its shares are to be erased {when}; not yet done: {_list(missing)}"
    if found["short"]:
        fields["short"] = ", ".join(f"party {s['index']} lacks {s['batches']} batches" for s in found["short"])
    if found["self_test"]:
        tested = msgspec.convert(found["self_test"], SelfTest)
        fields["self-test"] = f"epoch {tested.epoch}: {tested}"
    fields |= _registry_fields(found["registry"])
    if handover is None:
        last = found["ended"][0] if found["ended"] else None
        fields["hand-over"] = f"none; the last one: epoch {last['epoch']} {last['outcome']}" if last else "none"
        if last and last["reason"]:
            fields["reason"] = printable(last["reason"])
        out.fields("", fields)
        return
    out.fields("", fields | _handover_fields(handover, now))
    rows = [
        (node["index"], node["endpoint"], node["ready_height"] or "no", node["enckeys"] or "no")
        for node in handover["nodes"]
    ]
    out.table("incoming nodes", ("party", "endpoint", "chain ready at", "encryption keys"), rows)
    for view in handover["reshares"]:
        _show_reshare(out, view)


def _registry_fields(registry: dict[str, Any] | None) -> dict[str, str]:
    """What is still to happen at the contract, and what the epoch manager complains of."""
    if registry is None:
        return {"registry": "the epoch manager does not answer"}
    fields = {}
    if registry["waiting_for"]:
        have = f"{registry['members']} of {registry['seats']}"
        fields["registering"] = f"epoch {registry['epoch']}: {have}; not yet: {', '.join(registry['waiting_for'])}"
    for problem in registry["problems"]:
        fields[f"problem: {problem['where']}"] = f"{problem['code']}: {printable(problem['message'])}"
    return fields


def _handover_fields(handover: dict[str, Any], now: int) -> dict[str, str]:
    fields = {"hand-over": f"epoch {handover['from_epoch']} -> {handover['epoch']}: {handover['phase']}"}
    if handover["phase"] == "announced":
        fields["notice"] = f"over {_in(handover['notice_ends_ms'] - now)}; record {handover['record_hash'][:16]}"
    if handover["rejected"]:
        fields["rejected by"] = _list(handover["rejected"])
    if handover["deadline_ms"]:
        fields["given up"] = _in(handover["deadline_ms"] - now)
    if handover["batches"]:
        moved = f"{handover['keys_done']} of {handover['keys']} keys"
        fields["moved"] = f"{handover['batches_done']} of {handover['batches']} batches, {moved}"
        pace = f"{handover['keys_s']:g} keys/s" if handover["keys_s"] else "not known yet"
        left = f", {handover['eta_ms'] / 1000:.0f} s left" if handover["eta_ms"] is not None else ""
        fields["pace"] = pace + left
    held = [f"{h['side']} node {h['index']} ({h['what']})" for h in handover["held_up_by"]]
    more = f" and {len(held) - HOLDUPS_SHOWN} more" if len(held) > HOLDUPS_SHOWN else ""
    idle = "the end of the notice" if handover["phase"] == "announced" else "the next block"
    fields["waiting for"] = (", ".join(held[:HOLDUPS_SHOWN]) + more) or idle
    return fields


def _show_reshare(out: Output, view: dict[str, Any]) -> None:
    last = view["first_index"] + view["count"] - 1
    again = f", attempt {view['attempt']}" if view["attempt"] else ""
    title = (
        f"keys {view['first_index']} to {last}: {view['phase']}{again} (. d dealt, t tested, a held, Q used, X lied)"
    )
    columns = ("dealer", *(f"to {m}" for m in range(1, len(view["matrix"][0]) + 1))) if view["matrix"] else ("dealer",)
    out.table(title, columns, [(j, *row) for j, row in enumerate(view["matrix"], start=1)])


def _list(indexes: list[int]) -> str:
    return ", ".join(map(str, indexes)) or "nobody"


def _in(ms: int) -> str:
    return f"in {ms / 1000:.0f} s" if ms > 0 else f"since {-ms / 1000:.0f} s"
