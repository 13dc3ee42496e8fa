"""Who is who in the committees this keeper knows: a peer id, and its party index in each committee that holds it.

Pure. A node is bound to its peer id by its identity key, which signed both into the registry. A record that gives a
known peer id to another identity could cut that node off (with a dead address) or speak in its name: the older
committee's word stands, and the newcomer gets no link.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from authnet_core.protocol.views import EpochView, MemberView
from p2p_dkg.network.frames import Hello


@dataclass(frozen=True, slots=True)
class Peer:
    """Another node. `places` holds (epoch, party index) of every committee known here that it is in, oldest first."""

    peer_id: str
    address: str
    identity: str
    """Identity key, 33 bytes in hex."""
    places: tuple[tuple[int, int], ...]

    def index_in(self, epoch: int) -> int | None:
        """Its party index in an epoch's committee, None outside of it."""
        return next((index for at, index in self.places if at == epoch), None)

    @property
    def label(self) -> str:
        """`epoch/index` of its newest place, for metrics."""
        return "{}/{}".format(*self.places[-1])


class Directory:
    """Made anew at each change; `peers` is empty for a node that is in no committee itself."""

    def __init__(
        self, chain_id: str = "", committees: Sequence[EpochView] = (), identity: str = "", peer_id: str = ""
    ) -> None:
        self.chain_id = chain_id
        self._hashes = {view.epoch: bytes.fromhex(view.committee_hash) for view in committees}
        self._own: dict[int, int] = {}
        self.peers: dict[str, Peer] = {}
        for view in sorted(committees, key=lambda view: view.epoch):
            for member in view.members:
                if member.identity == identity:
                    self._own[view.epoch] = member.index
                elif member.peer_id != peer_id:
                    self._enter(view.epoch, member)
        if not self._own:
            self.peers = {}

    def _enter(self, epoch: int, member: MemberView) -> None:
        known = self.peers.get(member.peer_id)
        if known is not None and known.identity != member.identity:
            return
        places = (*(known.places if known is not None else ()), (epoch, member.index))
        self.peers[member.peer_id] = Peer(member.peer_id, member.p2p_addr, member.identity, places)

    def members(self, epoch: int) -> dict[int, str]:
        """Party index -> peer id of the other members of a committee."""
        found = ((peer.index_in(epoch), peer_id) for peer_id, peer in self.peers.items())
        return {index: peer_id for index, peer_id in found if index is not None}

    def hello(self, peer_id: str, turn: int, heard: Hello | None = None) -> Hello | None:
        """What this node says first, None to somebody it does not know.

        The other side knows perhaps only some of our committees: an answer names the one it `heard` if this node is
        in it, and with each failed `turn` another is tried, shared ones first.
        """
        peer = self.peers.get(peer_id)
        if peer is None:
            return None
        own = sorted(self._own, key=lambda epoch: (peer.index_in(epoch) is None, epoch))
        epoch = heard.epoch if heard is not None and heard.epoch in self._own else own[turn % len(own)]
        return Hello(self.chain_id, epoch, self._hashes[epoch], self._own[epoch])

    def is_right(self, peer_id: str, hello: Hello) -> bool:
        """Whether `hello` names this chain and version, and the place of a peer in a committee as it is known here."""
        peer = self.peers.get(peer_id)
        index = peer.index_in(hello.epoch) if peer is not None else None
        if index is None:
            return False
        return hello == Hello(self.chain_id, hello.epoch, self._hashes[hello.epoch], index)
