"""What the keeper says about itself on its sockets. Nothing in it is secret."""

from __future__ import annotations

import time
from typing import Any

from authnet_core.errors import AuthnetError, Code
from authnet_core.protocol.views import EpochView
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
        """Raise UNAVAILABLE before there is a chain and a committee, NOT_A_MEMBER outside of all that there are."""
        membership = self._runner.membership
        if membership.epoch is None:
            raise AuthnetError(Code.UNAVAILABLE, "the network has no committee yet")
        if not membership.committees.is_member:
            raise AuthnetError(Code.NOT_A_MEMBER, "this node is not in the committee")

    def place(self, epoch: int = 0) -> tuple[int, int]:
        """An epoch, 0 for the one in charge, and this node's index in it. Raises UNAVAILABLE or NOT_A_MEMBER."""
        membership = self._runner.membership
        if membership.epoch is None:
            raise AuthnetError(Code.UNAVAILABLE, "the network has no committee yet")
        number = epoch or membership.body_epoch
        index = membership.index_in(number)
        if index is None:
            raise AuthnetError(Code.NOT_A_MEMBER, f"this node is not in the committee of epoch {number}")
        return number, index

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
            "epochs": self._epochs() if self._bound else [],
            "short": self._runner.upkeep.short,
            "peers": self._mesh.peers(),
            "sessions": [driver.show() for driver in self._runner.sessions.drivers],
            "reshares": [driver.show() for driver in self._runner.reshares.drivers],
        }

    def _epochs(self) -> list[dict[str, Any]]:
        """Each committee this keeper deals with, and what it keeps of epochs that are over."""
        committees, newest = self._runner.membership.committees, self._watch.newest
        time_ms = newest.time_ms if newest is not None else 0
        shown = {view.epoch: self._show_epoch(view, time_ms) for view in committees.all}
        for epoch in self._keystore.epochs():
            files = self._keystore.epoch(epoch)
            entry = shown.setdefault(epoch, {"epoch": epoch, "role": "over", "index": 0})
            entry |= {"held": len(files.held), "erased": files.is_erased}
        return [shown[epoch] for epoch in sorted(shown)]

    def _show_epoch(self, view: EpochView, time_ms: int) -> dict[str, Any]:
        committees = self._runner.membership.committees
        role = "current" if view is committees.current else "next" if view is committees.next else "former"
        is_on = role != "next" and view.serving_from_ms <= time_ms
        return {
            "epoch": view.epoch,
            "role": role,
            "index": committees.index_in(view.epoch) or 0,
            "serving": is_on and (not view.serving_until_ms or time_ms < view.serving_until_ms),
            "serving_from_ms": view.serving_from_ms,
            "serving_until_ms": view.serving_until_ms,
            "grace_ends_ms": view.grace_ends_ms,
            "held": 0,
            "erased": False,
        }

    @property
    def _bound(self) -> bool:
        return self._runner.dev is not None
