"""Process entry: `python -m abci_app NODE/node.toml [--supervised-fd N]`.

Serves run/abci.sock for CometBFT and run/read.sock for the node's own processes; its state is in abci/.
"""

from __future__ import annotations

import os
import pwd
import sys

import anyio

from abci_app.abci import server
from abci_app.abci.application import Application
from abci_app.abci.dispatch import Dispatcher
from abci_app.faults import Faults
from abci_app.metrics import HEIGHT, count
from abci_app.queries.readsock import ReadServer
from abci_app.rules.execution import Finalized
from abci_app.snapshots import imports
from abci_app.snapshots.shelf import Shelf
from authnet_core.errors import ConfigError
from authnet_runtime.config import NodeConfig, load_node
from authnet_runtime.lifetime import Launch, parse_launch, wait_for_end
from authnet_runtime.logs import get_logger, setup


def allowed_readers(config: NodeConfig) -> frozenset[int]:
    """Users that may read: this process's own and those of the node's other processes. Raises ConfigError."""
    found = {os.getuid()}
    for name in ("p2p_dkg", "epoch_manager", "node_api"):
        user: str = getattr(config.toml.user, name)
        try:
            found.add(pwd.getpwnam(user).pw_uid if user else os.getuid())
        except KeyError:
            raise ConfigError(f"user.{name}: there is no user {user!r}") from None
    return frozenset(found)


async def _run(config: NodeConfig, app: Application, launch: Launch, readers: frozenset[int]) -> None:
    log = get_logger("abci_app")
    config.run.mkdir(mode=0o700, exist_ok=True)
    HEIGHT.set(app.meta.height)
    async with anyio.create_task_group() as group:
        reads = ReadServer(app, group)

        def on_commit(finalized: Finalized) -> None:
            count(finalized)
            reads.on_commit(finalized)

        app.on_commit = on_commit
        group.start_soon(reads.serve, config.read_sock, readers)
        group.start_soon(server.serve, config.abci_sock, Dispatcher(app), lambda: log.info("app.ready"))
        await wait_for_end(launch.supervised_fd)
        group.cancel_scope.cancel()


def main() -> None:
    """Run until the supervisor's pipe closes or a signal asks to stop."""
    launch = parse_launch("abci_app")
    try:
        config = load_node(launch.config)
        setup("abci_app", config.toml.node.log_level)
        readers = allowed_readers(config)
        faults = Faults(os.environ.get("AUTHNET_FAIL_AT", ""))
        app = Application(config.dir / "abci", faults, config.dir / imports.FILE)
        app.shelf = Shelf(app.store, int(config.toml.cometbft.snapshot_s * 1_000))
        app.shelf.take()
    except (ConfigError, ValueError) as error:
        sys.exit(f"abci_app: {error}")
    try:
        anyio.run(_run, config, app, launch, readers, backend="asyncio", backend_options={"use_uvloop": True})
    finally:
        app.close()


if __name__ == "__main__":
    main()
