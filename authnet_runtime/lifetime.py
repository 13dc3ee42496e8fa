"""How a process ends: when its supervisor's pipe closes, on SIGTERM or on SIGINT, and never otherwise by accident."""

from __future__ import annotations

import argparse
import os
import signal
from dataclasses import dataclass
from pathlib import Path

import anyio


@dataclass(frozen=True, slots=True)
class Launch:
    """What the command line of every process says."""

    config: Path
    supervised_fd: int | None


def parse_launch(program: str, argv: list[str] | None = None) -> Launch:
    """Parse `python -m PROGRAM NODE/node.toml [--supervised-fd N]`."""
    parser = argparse.ArgumentParser(prog=program)
    parser.add_argument("config", type=Path)
    parser.add_argument("--supervised-fd", type=int, default=None)
    args = parser.parse_args(argv)
    return Launch(args.config, args.supervised_fd)


async def _wait_signal() -> None:
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async for _ in signals:
            return


async def _wait_pipe(fd: int) -> None:
    os.set_blocking(fd, False)
    while True:
        await anyio.wait_readable(fd)
        try:
            if not os.read(fd, 64):
                return
        except BlockingIOError:
            continue
        except OSError:
            return


async def wait_for_end(supervised_fd: int | None) -> None:
    """Return when this process should stop cleanly."""
    async with anyio.create_task_group() as group:

        async def first(waiter: object) -> None:
            await waiter  # type: ignore[misc]
            group.cancel_scope.cancel()

        group.start_soon(first, _wait_signal())
        if supervised_fd is not None:
            group.start_soon(first, _wait_pipe(supervised_fd))
