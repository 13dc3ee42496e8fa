"""`python -m authnet.supervisor NODE/node.toml [--env PROC:K=V] [--program PROC=FILE]`, also `authnet node run`."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path

from authnet.supervisor import loop, plan

USAGE = (
    "usage: authnet node run NODE/node.toml [--env PROCESS:NAME=VALUE ...] [--program PROCESS=FILE] [--supervised-fd N]"
)


@dataclass(slots=True)
class Launch:
    """What the command line says."""

    config: Path | None = None
    env: dict[str, dict[str, str]] = field(default_factory=dict)
    """Variables for each process's first start."""
    programs: dict[str, str] = field(default_factory=dict)
    """Python files that run in the place of processes; development networks only."""
    tether: int | None = None


def parse(argv: list[str]) -> Launch:
    """Raises ValueError with a sentence for the operator."""
    launch = Launch()
    rest = iter(argv)
    for word in rest:
        if word == "--env":
            _add_setting(launch.env, next(rest, ""))
        elif word == "--program":
            _add_program(launch.programs, next(rest, ""))
        elif word == "--supervised-fd":
            launch.tether = int(next(rest, "-"))
        elif word.startswith("-") or launch.config is not None:
            raise ValueError(USAGE)
        else:
            launch.config = Path(word)
    return launch


def _add_setting(env: dict[str, dict[str, str]], text: str) -> None:
    process, colon, setting = text.partition(":")
    name, equals, value = setting.partition("=")
    if process not in plan.ORDER or not colon or not equals or not name:
        raise ValueError(f"--env wants PROCESS:NAME=VALUE, PROCESS one of {', '.join(plan.ORDER)}")
    env.setdefault(process, {})[name] = value


def _add_program(programs: dict[str, str], text: str) -> None:
    process, _, program = text.partition("=")
    if process not in plan.ORDER or process == "cometbft" or not program:
        raise ValueError("--program wants PROCESS=FILE, PROCESS any but cometbft")
    programs[process] = program


def main(argv: list[str]) -> int:
    """Run a node in the foreground."""
    try:
        launch = parse(argv)
        if launch.config is None:
            raise ValueError(USAGE)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    return loop.run(launch.config, launch.env, launch.programs, launch.tether)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
