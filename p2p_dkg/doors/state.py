"""What the keeper says about itself on its sockets. Nothing in it is secret."""

from __future__ import annotations

import time
from typing import Any

from authnet_core.errors import AuthnetError, Code
from p2p_dkg.keystore.store import Keystore
from p2p_dkg.network.mesh import Mesh
from p2p_dkg.runner.runner import Runner
from p2p_dkg.runner.watch import ChainWatch


class KeeperState:
    """Reads the parts; changes nothing."""

    def __init__(self, keystore: Keystore, mesh: Mesh, runner: Runner, watch: ChainWatch, *, dev: bool) -> None:
        self._keystore, self._mesh, self._runner, self._watch = keystore, mesh, runner, watch
        self._dev = dev
        self.logs_in = False
        """Whether logins are served: the chain goes on as remembered and the receipts are open."""

    def require_committee(self) -> None:
        """Raise UNAVAILABLE before there is a chain and a committee, NOT_A_MEMBER outside of it."""
        membership = self._runner.membership
        if membership.epoch is None:
            raise AuthnetError(Code.UNAVAILABLE, "the network has no committee yet")
        if membership.index is None:
            raise AuthnetError(Code.NOT_A_MEMBER, "this node is not in the committee")

    def require_dev(self) -> None:
        """Raise NOT_DEV unless the configuration, and the genesis once it is known, say dev."""
        if not self._dev or self._runner.dev is False:
            raise AuthnetError(Code.NOT_DEV, "only on a development network")

    def show(self) -> dict[str, Any]:
        """The answer to `status`."""
        membership, newest = self._runner.membership, self._watch.newest
        held = sum(len(self._keystore.epoch(e).held) for e in self._keystore.epochs()) if self._bound else 0
        return {
            "identity_pub": self._keystore.identity.pub.hex(),
            "peer_id": self._mesh.host.peer_id,
            "epoch": membership.epoch.epoch if membership.epoch is not None else 0,
            "node_index": membership.index or 0,
            "height": newest.height if newest is not None else 0,
            "block_age_ms": int((time.monotonic() - self._watch.received_at) * 1000) if newest is not None else None,
            "chain_ready": newest is not None,
            "committee_ready": membership.index is not None,
            "login_ready": self.logs_in,
            "draining": self._runner.sessions.draining,
            "holds": held,
            "short": self._runner.upkeep.short,
            "peers": self._mesh.peers(),
            "sessions": [driver.show() for driver in self._runner.sessions.drivers],
        }

    @property
    def _bound(self) -> bool:
        return self._runner.dev is not None
