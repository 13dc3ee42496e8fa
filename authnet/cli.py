"""The `authnet` command. Each group of commands is one file in authnet/commands; heavy imports stay in them."""

from __future__ import annotations

import sys


def main() -> None:
    """Entry point of `.venv/bin/authnet`."""
    if sys.argv[1:3] == ["node", "run"] and "--help" not in sys.argv:
        # The supervisor outlives everything and stays small: no typer, no rich.
        from authnet.supervisor.__main__ import main as supervise

        sys.exit(supervise(sys.argv[3:]))
    from authnet_runtime.importing import quick_imports

    with quick_imports():
        from authnet.commands import build

        command = build()
    command()


if __name__ == "__main__":
    main()
