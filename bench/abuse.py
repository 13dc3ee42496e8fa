"""python -m bench.abuse: each attack for some seconds at all nodes of a local network, beside logins of others.

    python -m bench.abuse [--dir .localnet] [--seconds 8] [--only NAME] [--json FILE]

Prints what the attack was refused by, the metric that shows it, and what it cost the logins that went on beside it:
their rate and median before and during it. Attackers, users and nodes share this machine's cores, so the loss holds
what the attackers' own program takes from them. Without --dir a network of five nodes is started for it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx
from rich.console import Console
from rich.table import Table

from authnet_runtime.config import load_node
from bench.attacks import KINDS, Attack, Kind
from bench.client_load import Answer, Wish, run
from tests.e2e.networks import running

USERS = 400
LEAD_S = 0.5


@dataclass(frozen=True)
class Place:
    """The doors of a running network."""

    dir: Path
    endpoints: tuple[str, ...]
    metrics: tuple[str, ...]

    @staticmethod
    def of(folder: Path) -> Place:
        nodes = [load_node(path).toml for path in sorted(folder.glob("node*/node.toml"))]
        if not nodes:
            raise SystemExit(f"{folder}: no local network is there")
        return Place(folder, tuple(n.api.endpoint for n in nodes), tuple(n.metrics.listen for n in nodes))

    def counted(self, metric: str) -> float:
        """The samples that begin with `metric`, added up over all nodes."""
        total = 0.0
        for listen in self.metrics:
            page = httpx.get(f"http://{listen}/metrics", timeout=30, trust_env=False).text
            total += sum(float(line.rpartition(" ")[2]) for line in page.splitlines() if line.startswith(metric))
        return total


@dataclass(frozen=True)
class Logins:
    """What users got in some seconds."""

    per_s: float
    p50_ms: float
    failed: int

    @staticmethod
    def of(answer: Answer) -> Logins:
        median = statistics.median(answer.ms) if answer.ms else 0.0
        return Logins(round(answer.per_s, 1), round(median, 1), sum(answer.errors.values()))


@dataclass(frozen=True)
class Row:
    """One attack's result."""

    attack: str
    sent: int
    answers: dict[str, int]
    metric: str
    counted: float
    before: Logins
    during: Logins

    @property
    def loss_percent(self) -> float:
        return round(100 * (1 - self.during.per_s / self.before.per_s), 1) if self.before.per_s else 0.0


def log_in(place: Place, users: list[str], seconds: float) -> Answer:
    return run(Wish(str(place.dir), "login_one", users, 1, seconds))


async def attack_all(place: Place, kind: Kind, network: int, until: float, limit: int = 1 << 60) -> list[Attack]:
    """One kind of attack at every node at once."""
    attacks = [Attack(endpoint, network, until, limit) for endpoint in place.endpoints]
    await asyncio.gather(*(kind.run(attack) for attack in attacks))
    return attacks


def measure(place: Place, kind: Kind, number: int, users: list[str], seconds: float) -> Row:
    """Logins alone, then logins beside the attack."""
    before = Logins.of(log_in(place, users, seconds / 2))
    counted = place.counted(kind.metric)
    with ThreadPoolExecutor(1) as pool:
        # The load generator makes its tokens first; the attack is under way when its clock starts, and longer.
        logins = pool.submit(log_in, place, users, seconds)
        attacks = asyncio.run(attack_all(place, kind, number, time.monotonic() + LEAD_S + seconds))
        during = Logins.of(logins.result())
    answers = dict(sum((attack.seen for attack in attacks), start=attacks[0].seen.__class__()).most_common(4))
    sent = sum(attack.sent for attack in attacks)
    return Row(kind.name, sent, answers, kind.metric, place.counted(kind.metric) - counted, before, during)


def show(rows: list[Row]) -> Table:
    table = Table(title="Attacks beside logins")
    for column in ("attack", "sent", "answers", "metric", "+", "logins/s", "p50 ms", "failed", "loss"):
        table.add_column(column, overflow="fold")
    for row in rows:
        answers = ", ".join(f"{code} {count}" for code, count in row.answers.items())
        rate = f"{row.before.per_s:g} -> {row.during.per_s:g}"
        median = f"{row.before.p50_ms:g} -> {row.during.p50_ms:g}"
        cells = (row.metric, f"{row.counted:g}", rate, median, str(row.during.failed), f"{row.loss_percent:g} %")
        table.add_row(row.attack, str(row.sent), answers, *cells)
    return table


def main() -> int:
    """0 when the logins beside every attack went on."""
    parser = argparse.ArgumentParser(prog="python -m bench.abuse")
    parser.add_argument("--dir", type=Path)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--only", default="", help="attacks whose name holds this")
    parser.add_argument("--json", type=Path)
    wanted = parser.parse_args()
    console, rows = Console(stderr=True), list[Row]()
    with ExitStack() as stack:
        folder = wanted.dir
        if folder is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="authnet-abuse-")))
            stack.enter_context(running(folder, 5, {}))
        place = Place.of(folder.resolve())
        users = [f"user-{number}@example.com" for number in range(USERS)]
        console.print("accounts of the users")
        run(Wish(str(place.dir), "login_one", users[:50], 1, 60))
        for number, kind in enumerate(KINDS, start=1):
            if wanted.only in kind.name:
                console.print(kind.name)
                rows.append(measure(place, kind, number, users[:50] * 8, wanted.seconds))
    Console(width=180).print(show(rows))
    if wanted.json:
        wanted.json.write_text(json.dumps([asdict(row) | {"loss_percent": row.loss_percent} for row in rows], indent=1))
    return 0 if all(row.during.per_s for row in rows) else 1


if __name__ == "__main__":
    raise SystemExit(main())
