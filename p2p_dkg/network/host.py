"""The libp2p host: TCP, Noise and yamux only, and no connection with a peer id that is not on the list.

libp2p's own defaults would also register TLS, secio and PLAINTEXT, and its allow-list knows addresses only, so
the security options are given explicitly and peer ids are checked when a connection comes up and again per stream.
It takes in 300 connections at a time, but counts each until the host ends: `_count_while_open` mends that.
"""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import trio
from libp2p import new_host
from libp2p.abc import INetConn, INetStream, INetwork, INotifee
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.crypto.keys import KeyPair
from libp2p.crypto.x25519 import create_new_key_pair as create_noise_key_pair
from libp2p.custom_types import TProtocol
from libp2p.network.config import ConnectionConfig, RetryConfig
from libp2p.network.exceptions import SwarmException
from libp2p.peer.id import ID
from libp2p.peer.peerstore import PERMANENT_ADDR_TTL
from libp2p.security.noise.transport import PROTOCOL_ID as NOISE
from libp2p.security.noise.transport import Transport as NoiseTransport
from libp2p.stream_muxer.yamux.yamux import PROTOCOL_ID as YAMUX
from libp2p.stream_muxer.yamux.yamux import Yamux
from multiaddr import Multiaddr

from authnet_core.errors import ConfigError
from authnet_runtime.logs import get_logger
from p2p_dkg.network import counters

PROTOCOL = TProtocol("/authnet/keeper/1")
_DIAL_S = 5.0
_CLOSE_S = 2.0
_log = get_logger("network")

StreamHandler = Callable[[str, INetStream], Awaitable[None]]
"""(peer id, stream): returns when the stream is no longer needed."""


def transport_key(seed: bytes) -> KeyPair:
    """The node's libp2p key pair."""
    return create_new_key_pair(seed)


def peer_id_of(seed: bytes) -> str:
    """The peer id other nodes pin."""
    return str(ID.from_pubkey(transport_key(seed).public_key))


def parse_address(text: str, key: str) -> Multiaddr:
    """A TCP multiaddr without /p2p/. Raises ConfigError naming `key`."""
    try:
        address = Multiaddr(text)
        names = [protocol.name for protocol in address.protocols()]
    except Exception:
        raise ConfigError(f"{key}: {text!r} is not a multiaddr") from None
    if len(names) != 2 or names[0] not in ("ip4", "ip6", "dns", "dns4", "dns6") or names[1] != "tcp":
        raise ConfigError(f"{key}: {text!r} must be /ip4|ip6|dns/HOST/tcp/PORT")
    return address


def require_free(address: Multiaddr) -> None:
    """Raise ConfigError if somebody listens at `address`: libp2p sets SO_REUSEPORT and would share the port."""
    family = socket.AF_INET6 if address.protocols()[0].name == "ip6" else socket.AF_INET
    host, port = (address.value_for_protocol(protocol.name) for protocol in address.protocols())
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, int(port)))
        except OSError as error:
            raise ConfigError(f"p2p.listen: can not listen at {address}: {error.strerror}") from None


class DialFailed(Exception):
    """No stream to a peer. The text is the type of what went wrong."""


class _Gate(INotifee):  # type: ignore[misc]
    """Closes every connection with a peer id that is not allowed, as soon as it is up."""

    def __init__(self, is_allowed: Callable[[str], bool]) -> None:
        self._is_allowed = is_allowed
        self.refused = 0

    def refuse(self, peer: str) -> None:
        """Counted, and hardly logged: anybody may knock, and members do until this node has read who they are."""
        self.refused += 1
        counters.REFUSED.labels("stranger", "peer_id").inc()
        _log.debug("peer.refused", peer=peer)

    async def connected(self, network: INetwork, conn: INetConn) -> None:
        peer = str(conn.muxed_conn.peer_id)
        if not self._is_allowed(peer):
            self.refuse(peer)
            await conn.close()

    async def disconnected(self, network: INetwork, conn: INetConn) -> None:
        """Links notice by their stream."""

    async def opened_stream(self, network: INetwork, stream: INetStream) -> None:
        """Checked by the stream handler."""

    async def closed_stream(self, network: INetwork, stream: INetStream) -> None:
        """Links notice by their stream."""

    async def listen(self, network: INetwork, multiaddr: Multiaddr) -> None:
        """Nothing to do."""

    async def listen_close(self, network: INetwork, multiaddr: Multiaddr) -> None:
        """Nothing to do."""


def _count_while_open(network: Any) -> None:
    """Let the task of an incoming connection, and the place it takes among 300, end with the connection.

    The swarm's own waits for the end of the swarm: whoever comes often enough, if only to be refused, makes a node
    deaf until its next start. What `upgrade_inbound_raw_conn` raises ends the task.
    """
    upgrade = network.upgrade_inbound_raw_conn

    async def until_closed(raw: Any, address: Multiaddr) -> None:
        muxed = await upgrade(raw, address)
        await muxed.event_shutting_down.wait()
        raise SwarmException("the connection has ended")

    network.upgrade_inbound_raw_conn = until_closed


class PeerHost:
    """Listens, dials, and pins peer ids both ways."""

    def __init__(self, seed: bytes, listen: str, on_stream: StreamHandler) -> None:
        keys = transport_key(seed)
        noise = NoiseTransport(keys, noise_privkey=create_noise_key_pair().private_key)
        self._listen = parse_address(listen, "p2p.listen")
        self._on_stream = on_stream
        self._allowed: frozenset[str] = frozenset()
        self._host: Any = new_host(
            key_pair=keys,
            sec_opt={NOISE: noise},
            muxer_opt={TProtocol(YAMUX): Yamux},
            connection_config=ConnectionConfig(min_connections=0, low_watermark=0, dial_timeout=_DIAL_S),
        )
        self._host.get_network().retry_config = RetryConfig(max_retries=0)
        _count_while_open(self._host.get_network())
        self.gate = _Gate(lambda peer: peer in self._allowed)
        self._host.get_network().register_notifee(self.gate)
        self._host.set_stream_handler(PROTOCOL, self._handle_stream)
        self.peer_id = str(self._host.get_id())

    def allow(self, peers: frozenset[str]) -> None:
        """Replace the list of peer ids that may be connected."""
        self._allowed = peers

    @asynccontextmanager
    async def run(self) -> AsyncIterator[None]:
        """Listen until the block ends. Raises ConfigError when the address can not be used."""
        require_free(self._listen)
        async with self._host.run([self._listen]):
            if not self._host.get_network().listeners:
                raise ConfigError(f"p2p.listen: can not listen at {self._listen}")
            try:
                yield
            finally:
                await self._stop_listening()

    async def _stop_listening(self) -> None:
        """libp2p's listeners are system tasks of trio: when only this host is cancelled they keep the port."""
        with trio.move_on_after(_CLOSE_S) as scope:
            scope.shield = True
            for listener in list(self._host.get_network().listeners.values()):
                await listener.close()

    async def dial(self, peer_id: str, address: str) -> INetStream:
        """A fresh stream to exactly this peer at exactly this address. Raises DialFailed."""
        try:
            return await self._dial(peer_id, address)
        except Exception as error:
            # Peer id and address are what another operator wrote into the registry: they may be no such thing at all.
            raise DialFailed(type(error).__name__) from None

    async def _dial(self, peer_id: str, address: str) -> INetStream:
        peer, network = ID.from_string(peer_id), self._host.get_network()
        store = self._host.get_peerstore()
        # A failed dial blacklists the peer for a minute, and a stale address can hide the right one.
        network.unblock_peer(peer)
        store.clear_addrs(peer)
        store.add_addrs(peer, [Multiaddr(address)], PERMANENT_ADDR_TTL)
        with trio.fail_after(2 * _DIAL_S):
            await network.dial_peer(peer)
            stream: INetStream = await self._host.new_stream(peer, [PROTOCOL])
        return stream

    async def hang_up(self, peer_id: str) -> None:
        """Close every connection with a peer."""
        with trio.move_on_after(1):
            try:
                await self._host.get_network().close_peer(ID.from_string(peer_id))
            except Exception as error:
                _log.debug("peer.hang_up_failed", reason=type(error).__name__)

    async def _handle_stream(self, stream: INetStream) -> None:
        peer = str(stream.muxed_conn.peer_id)
        if peer not in self._allowed:
            self.gate.refuse(peer)
            await stream.reset()
            return
        await self._on_stream(peer, stream)
