"""Links between keepers: pinned both ways, Noise only, and nothing a peer sends does more than end its stream."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace

import pytest
import trio
from libp2p import new_host
from libp2p.abc import INetStream
from libp2p.custom_types import TProtocol
from libp2p.exceptions import BaseLibp2pError
from libp2p.peer.id import ID
from libp2p.security.insecure.transport import PLAINTEXT_PROTOCOL_ID, InsecureTransport
from libp2p.stream_muxer.yamux.yamux import PROTOCOL_ID as YAMUX
from libp2p.stream_muxer.yamux.yamux import Yamux
from multiaddr import Multiaddr

from authnet_core.errors import ConfigError
from authnet_core.protocol.dkg.messages import Bundle, WantBundle
from p2p_dkg.network.frames import MAX_FRAME, Hello, Ping, encode
from p2p_dkg.network.host import PROTOCOL, DialFailed, PeerHost, parse_address, peer_id_of, transport_key
from p2p_dkg.network.link import FrameStream, LinkBroken
from p2p_dkg.network.mesh import Mesh
from p2p_dkg.ports import Receipt
from tests.component.keeper.meshes import (
    CHAIN,
    SID,
    STRANGER,
    Node,
    address_of,
    epoch_of,
    free_port,
    run,
    running,
    seed_of,
    until,
)


def test_members_meet_and_talk() -> None:
    async def check() -> None:
        ports = [free_port() for _ in range(3)]
        nodes = [Node(i, port) for i, port in enumerate(ports, start=1)]
        async with running(*nodes):
            for node in nodes:
                node.join(epoch_of(ports))
            await until(lambda: all(len(node.mesh.connected(1)) == 2 for node in nodes))
            bundle = Bundle(SID, 2, (b"l" * 32,) * 3, (b"c" * 200_000,) * 3)
            nodes[1].mesh.send_all(1, bundle)
            nodes[1].mesh.send(1, 3, WantBundle(SID, 1))
            await until(lambda: nodes[0].got == [(2, bundle)] and len(nodes[2].got) == 2)
            assert {type(m) for _, m in nodes[2].got} == {Bundle, WantBundle}

    run(check)


def test_receipts_are_asked_for_and_answered() -> None:
    async def check() -> None:
        ports = [free_port() for _ in range(3)]
        nodes = [Node(i, port) for i, port in enumerate(ports, start=1)]
        known = Receipt("text", b"s" * 65, b"\x02" * 33, 1)
        nodes[1].mesh.answer_receipts(lambda h, t: known if (h, t) == (b"h" * 32, b"\x03" * 33) else None)
        async with running(*nodes):
            for node in nodes:
                node.join(epoch_of(ports))
            await until(lambda: len(nodes[0].mesh.connected(1)) == 2)
            assert await nodes[0].mesh.ask_receipts(1, b"h" * 32, b"\x03" * 33) == [replace(known, epoch=0)]
            assert await nodes[0].mesh.ask_receipts(1, b"i" * 32, b"\x03" * 33) == []

    run(check)


def test_a_stranger_is_not_let_in() -> None:
    async def check() -> None:
        ports = [free_port(), free_port()]
        member = Node(2, ports[1])
        stranger = Node(1, ports[0], STRANGER)
        async with running(member, stranger):
            member.join(epoch_of(ports))
            stranger.join(epoch_of(ports))
            await until(lambda: member.mesh.host.gate.refused >= 2)
            assert member.mesh.connected(1) == []
            assert stranger.mesh.connected(1) == []

    run(check)


def test_connections_that_ended_leave_room_for_others() -> None:
    """libp2p counts who comes in until the host ends: some hundreds of refusals or of new starts, and it is deaf."""

    async def check() -> None:
        ports = [free_port() for _ in range(3)]
        dialer, member, stranger = Node(1, ports[0]), Node(2, ports[1]), Node(3, ports[2], STRANGER)
        member.mesh.host._host.get_network()._inbound_limiter = trio.CapacityLimiter(3)
        async with running(member, dialer, stranger):
            member.join(epoch_of(ports))
            stranger.join(epoch_of(ports))
            await until(lambda: member.mesh.host.gate.refused >= 4)
            stranger.scope.cancel()
            dialer.join(epoch_of(ports))
            for _ in range(4):
                await until(lambda: member.mesh.connected(1) == [1])
                dialer.mesh._members[peer_id_of(member.seed)].link.disconnect()
                await until(lambda: member.mesh.connected(1) == [])

    run(check)


def test_a_dialer_does_not_accept_another_peer_at_the_address() -> None:
    async def check() -> None:
        ports = [free_port(), free_port()]
        member, impostor = Node(1, ports[0]), Node(2, ports[1], STRANGER)
        async with running(member, impostor):
            impostor.join(epoch_of(ports))
            host = member.mesh.host
            host.allow(frozenset({peer_id_of(seed_of(2))}))
            with pytest.raises(DialFailed):
                await host.dial(peer_id_of(seed_of(2)), address_of(ports[1]))
            assert impostor.got == []

    run(check)


def test_a_member_can_not_speak_for_another_index() -> None:
    async def check() -> None:
        ports = [free_port() for _ in range(3)]
        honest, liar = Node(3, ports[2]), Node(1, ports[0], seed_of(2))
        async with running(honest, liar):
            honest.join(epoch_of(ports))
            liar.join(epoch_of(ports))  # holds the key of 2, says hello as 1
            await trio.sleep(1)
            assert honest.mesh.connected(1) == []

    run(check)


@pytest.mark.parametrize(
    ("chain_id", "epoch", "committee"),
    [("other-1", 1, "aa" * 32), (CHAIN, 2, "aa" * 32), (CHAIN, 1, "bb" * 32)],
)
def test_another_chain_epoch_or_committee_is_refused(chain_id: str, epoch: int, committee: str) -> None:
    async def check() -> None:
        ports = [free_port(), free_port()]
        one, two = Node(1, ports[0]), Node(2, ports[1])
        async with running(one, two):
            one.join(epoch_of(ports))
            two.join(epoch_of(ports, epoch=epoch, committee=committee), chain_id)
            await trio.sleep(1)
            assert one.mesh.connected(1) == []
            assert two.mesh.connected(1) == []
            two.join(epoch_of(ports))
            await until(lambda: one.mesh.connected(1) == [2] and two.mesh.connected(1) == [1])

    run(check)


def test_a_killed_peer_is_dialled_again_at_once() -> None:
    async def check() -> None:
        ports = [free_port(), free_port()]
        one, two = Node(1, ports[0]), Node(2, ports[1])
        async with running(one, two) as nursery:
            one.join(epoch_of(ports))
            two.join(epoch_of(ports))
            await until(lambda: one.mesh.connected(1) == [2])
            two.scope.cancel()
            await until(lambda: one.mesh.connected(1) == [])
            await trio.sleep(1)  # let dials fail: libp2p then blacklists the peer for a minute
            again = Node(2, ports[1])
            await nursery.start(again.run)
            again.join(epoch_of(ports))
            await until(lambda: one.mesh.connected(1) == [2], within=5)

    run(check)


def test_a_member_that_moves_is_found() -> None:
    async def check() -> None:
        ports = [free_port(), free_port()]
        moved = [ports[0], free_port()]
        one, two = Node(1, ports[0]), Node(2, moved[1])
        async with running(one, two):
            one.join(epoch_of(ports))
            two.join(epoch_of(moved))
            await trio.sleep(0.5)
            assert one.mesh.connected(1) == []
            one.join(epoch_of(moved))
            await until(lambda: one.mesh.connected(1) == [2], within=5)

    run(check)


# -- raw peers ----------------------------------------------------------------------------------------------------


@asynccontextmanager
async def raw_member(index: int, ports: list[int]) -> AsyncIterator[tuple[Node, PeerHost, INetStream]]:
    """A node, and a member's host with an open stream to it that no protocol runs on."""

    async def ignore(_: str, __: INetStream) -> None:
        await trio.sleep_forever()

    node = Node(2, ports[1])
    host = PeerHost(seed_of(index), address_of(ports[0]), ignore)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(running(node))
        await stack.enter_async_context(host.run())
        node.join(epoch_of(ports))
        host.allow(frozenset({peer_id_of(seed_of(2))}))
        stream = await host.dial(peer_id_of(seed_of(2)), address_of(ports[1]))
        yield node, host, stream


async def greet(stream: INetStream) -> FrameStream:
    frames = FrameStream(stream)
    await frames.write(encode(Hello(CHAIN, 1, bytes.fromhex("aa" * 32), 1)))
    await frames.read()
    return frames


async def drain(frames: FrameStream) -> None:
    while True:
        await frames.read()


async def ends(frames: FrameStream) -> None:
    with trio.fail_after(10), pytest.raises(LinkBroken):
        await drain(frames)


def raw(test: Callable[[Node, FrameStream, INetStream], Awaitable[None]]) -> None:
    async def check() -> None:
        async with raw_member(1, [free_port(), free_port()]) as (node, _, stream):
            frames = await greet(stream)
            await until(lambda: node.mesh.connected(1) == [1])
            await test(node, frames, stream)

    run(check)


def test_an_oversize_frame_ends_the_stream() -> None:
    async def check(node: Node, frames: FrameStream, stream: INetStream) -> None:
        await stream.write((MAX_FRAME + 1).to_bytes(4, "big") + b"x" * 100)
        await ends(frames)
        await until(lambda: node.mesh.connected(1) == [])

    raw(check)


def test_garbage_frames_are_dropped_and_the_link_goes_on() -> None:
    async def check(node: Node, frames: FrameStream, stream: INetStream) -> None:
        for junk in (b"", b"\xff" * 40, b"\x0a", encode(Ping()) + b"\x00", b"\x52\x03abc"):
            await frames.write(junk)
        await frames.write(encode(WantBundle(SID, 1)))
        await until(lambda: node.got == [(1, WantBundle(SID, 1))])
        assert node.mesh.connected(1) == [1]

    raw(check)


def test_too_much_garbage_ends_the_stream() -> None:
    async def check(node: Node, frames: FrameStream, stream: INetStream) -> None:
        for _ in range(100):
            await frames.write(b"\xff" * 10)
        await ends(frames)

    raw(check)


def test_a_silent_peer_is_hung_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("p2p_dkg.network.link.SILENCE_S", 0.5)

    async def check(node: Node, frames: FrameStream, stream: INetStream) -> None:
        await until(lambda: node.mesh.connected(1) == [], within=5)

    raw(check)


def test_no_message_before_the_hello() -> None:
    async def check() -> None:
        async with raw_member(1, [free_port(), free_port()]) as (node, _, stream):
            frames = FrameStream(stream)
            await frames.write(encode(WantBundle(SID, 1)))
            await ends(frames)
            assert node.got == []

    run(check)


def test_a_newer_stream_replaces_the_older() -> None:
    async def check() -> None:
        async with raw_member(1, [free_port(), free_port()]) as (node, host, stream):
            first = await greet(stream)
            second = await greet(await host._host.new_stream(ID.from_string(peer_id_of(seed_of(2))), [PROTOCOL]))
            await ends(first)
            await second.write(encode(WantBundle(SID, 1)))
            await until(lambda: len(node.got) == 1)
            assert node.mesh.connected(1) == [1]

    run(check)


def test_a_plaintext_dial_is_refused() -> None:
    async def check() -> None:
        ports = [free_port(), free_port()]
        node = Node(2, ports[1])
        keys = transport_key(seed_of(1))  # even a member's own key
        dialer = new_host(
            key_pair=keys,
            sec_opt={TProtocol(PLAINTEXT_PROTOCOL_ID): InsecureTransport(keys)},
            muxer_opt={TProtocol(YAMUX): Yamux},
        )
        async with running(node), dialer.run([Multiaddr(address_of(ports[0]))]):
            node.join(epoch_of(ports))
            peer = ID.from_string(peer_id_of(seed_of(2)))
            dialer.get_peerstore().add_addrs(peer, [Multiaddr(address_of(ports[1]))], 60)
            with trio.fail_after(20), pytest.raises((BaseLibp2pError, ExceptionGroup)):
                await dialer.get_network().dial_peer(peer)
            assert node.mesh.connected(1) == []

    run(check)


def test_an_address_in_use_is_the_operators_mistake() -> None:
    async def check() -> None:
        port = free_port()
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", port))
            taken.listen()
            with pytest.raises((ConfigError, ExceptionGroup)) as caught:
                await Mesh(seed_of(1), address_of(port), "").run()
            error: BaseException = caught.value
            while isinstance(error, BaseExceptionGroup):
                error = error.exceptions[0]
            assert isinstance(error, ConfigError)
            assert error.message.startswith("p2p.listen:")

    run(check)


@pytest.mark.parametrize("text", ["", "127.0.0.1:1", "/ip4/127.0.0.1", "/ip4/127.0.0.1/udp/1/quic-v1", "/ip4/x/tcp/1"])
def test_an_address_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"p2p\.listen"):
        parse_address(text, "p2p.listen")
