"""python -m p2p_dkg NODE/node.toml: the keeper, the only process of a node with key material."""

from __future__ import annotations

import logging
import sys

from authnet_core.errors import AuthnetError, Code
from authnet_runtime.config import NodeConfig, load_node
from authnet_runtime.importing import quick_imports
from authnet_runtime.lifetime import Launch, parse_launch
from authnet_runtime.logs import get_logger, setup
from p2p_dkg.keystore.files import locked, make_folder
from p2p_dkg.keystore.store import Keystore, open_keystore
from p2p_dkg.process import harden

OPERATOR_MISTAKE, FORK, BROKEN = 2, 3, 1


def _first(group: BaseExceptionGroup[AuthnetError]) -> AuthnetError:
    inner: BaseException = group
    while isinstance(inner, BaseExceptionGroup):
        inner = inner.exceptions[0]
    if not isinstance(inner, AuthnetError):
        raise inner
    return inner


def _leaves(group: BaseExceptionGroup[OSError]) -> list[OSError]:
    found: list[OSError] = []
    for inner in group.exceptions:
        found += _leaves(inner) if isinstance(inner, BaseExceptionGroup) else [inner]
    return found


def _reason(failure: OSError) -> str:
    """LevelDB's errors have no number; what they say is their one argument, in bytes."""
    said = failure.args[0] if len(failure.args) == 1 else ""
    text = said.decode(errors="replace") if isinstance(said, bytes) else str(said)
    return failure.strerror or text or type(failure).__name__


def _run(launch: Launch, config: NodeConfig) -> None:
    folder = config.dir / "keeper"
    make_folder(folder)
    with locked(folder):
        keeper = config.toml.keeper
        keystore = open_keystore(folder, config.toml.node.network_id, config.passphrase_file, keeper.scrypt_n)
        _run_with(keystore, launch, config)


def _run_with(keystore: Keystore, launch: Launch, config: NodeConfig) -> None:
    # The network stack takes a second to import: what is wrong with the keystore is said before.
    with quick_imports():
        import trio

        from p2p_dkg.app import run_keeper

    # libp2p logs every failed dial at length; links log their own state in one line.
    logging.getLogger("libp2p").setLevel(logging.CRITICAL)
    trio.run(run_keeper, config, keystore, launch.supervised_fd)


def main(argv: list[str] | None = None) -> int:
    """Run until told to end: 0. An operator's mistake is 2, a forked chain 3."""
    launch = parse_launch("p2p_dkg", argv)
    harden()
    refusal: AuthnetError | None = None
    status = 0
    try:
        config = load_node(launch.config)
        setup("p2p_dkg", config.toml.node.log_level)
        _run(launch, config)
    except* AuthnetError as group:
        refusal = _first(group)
    except* OSError as failures:
        # A full or broken disk: nothing half-done was told to anybody, so a restart goes on where this ended.
        get_logger("keeper").error("keeper.disk", reasons=sorted({_reason(e) for e in _leaves(failures)}))
        status = BROKEN
    if refusal is None:
        return status
    get_logger("keeper").error("keeper.refused", code=refusal.code.value, reason=refusal.message)
    sys.stderr.write(f"{refusal.message}\n")
    if refusal.code is Code.FORK_SEEN:
        return FORK
    mistakes = (Code.CONFIG, Code.FILE_MODE, Code.WRONG_PASSPHRASE, Code.KEYSTORE_DAMAGED)
    return OPERATOR_MISTAKE if refusal.code in mistakes else BROKEN


if __name__ == "__main__":
    raise SystemExit(main())
