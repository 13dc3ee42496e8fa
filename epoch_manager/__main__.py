"""`python -m epoch_manager NODE/node.toml`: watches the registry and tells the chain what it says."""

from __future__ import annotations

import os
import sys

import anyio

from authnet_core.errors import ConfigError
from authnet_runtime.config import load_node
from authnet_runtime.importing import quick_imports
from authnet_runtime.lifetime import parse_launch
from authnet_runtime.logs import get_logger, setup


def main(argv: list[str] | None = None) -> int:
    """Run the process; exit code 2 for an operator's mistake, found before anything starts."""
    with quick_imports():
        from epoch_manager.service import load_own, run

    launch = parse_launch("epoch_manager", argv)
    os.umask(0o077)
    setup("epoch_manager")
    try:
        config = load_node(launch.config)
        setup("epoch_manager", config.toml.node.log_level)
        own = load_own(config)
    except ConfigError as mistake:
        get_logger("epoch").error("config.refused", code=mistake.code.value, reason=mistake.message)
        return 2
    anyio.run(run, config, own, launch.supervised_fd)
    return 0


if __name__ == "__main__":
    sys.exit(main())
