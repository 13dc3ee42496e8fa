"""python -m node_api NODE/node.toml: the public door of one node."""

from __future__ import annotations

import sys
from functools import partial

import anyio

from authnet_core.errors import ConfigError
from authnet_runtime.config import NodeConfig, load_node
from authnet_runtime.importing import quick_imports
from authnet_runtime.lifetime import Launch, parse_launch, wait_for_end
from authnet_runtime.logs import get_logger, setup


async def _main(launch: Launch, config: NodeConfig) -> None:
    with quick_imports():
        from node_api.server import run

    async with anyio.create_task_group() as group:
        await group.start(partial(run, config))
        get_logger("node_api").info("listening", address=config.toml.api.listen)
        await wait_for_end(launch.supervised_fd)
        group.cancel_scope.cancel()


def main() -> int:
    """Run until told to end; 2 for an operator's mistake."""
    launch = parse_launch("node_api")
    mistake: BaseException | None = None
    try:
        config = load_node(launch.config)
        setup("node_api", config.toml.node.log_level)
        anyio.run(_main, launch, config, backend_options={"use_uvloop": True})
    except* ConfigError as group:
        mistake = group
    while isinstance(mistake, BaseExceptionGroup):
        mistake = mistake.exceptions[0]
    if mistake is not None:
        sys.stderr.write(f"{mistake}\n")
    return 2 if mistake else 0


if __name__ == "__main__":
    raise SystemExit(main())
