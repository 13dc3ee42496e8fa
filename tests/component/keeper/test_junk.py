"""Bytes that are no libp2p at the keeper's port: the process goes on, and members still get in."""

from __future__ import annotations

import random

import pytest
import trio

from tests.component.keeper.meshes import Node, epoch_of, free_port, run, running, until

MULTISTREAM = b"\x13/multistream/1.0.0\n"
JUNK = {
    "nothing": b"",
    "http": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "random": random.Random(1).randbytes(4096),
    "zeros": bytes(4096),
    "huge varint": b"\xff" * 64,
    "half a negotiation": MULTISTREAM,
    "unknown security": MULTISTREAM + b"\x11/plaintext/2.0.0\n" + b"x" * 64,
    "noise, then junk": MULTISTREAM + b"\x07/noise\n" + random.Random(2).randbytes(512),
    "noise, short message": MULTISTREAM + b"\x07/noise\n" + b"\x00\x00",
    "noise, long message": MULTISTREAM + b"\x07/noise\n" + b"\xff\xff" + bytes(65535),
    "not utf-8": MULTISTREAM + b"\x04\xff\xfe\xfd\n",
}


@pytest.mark.parametrize("name", JUNK)
def test_junk_at_the_port_changes_nothing(name: str) -> None:
    async def check() -> None:
        ports = [free_port(), free_port()]
        one, two = Node(1, ports[0]), Node(2, ports[1])
        async with running(one, two):
            one.join(epoch_of(ports))
            two.join(epoch_of(ports))
            for _ in range(3):
                stream = await trio.open_tcp_stream("127.0.0.1", ports[1])
                try:
                    await stream.send_all(JUNK[name])
                    with trio.move_on_after(0.3):
                        await stream.receive_some(1000)
                except trio.BrokenResourceError:
                    pass
                await stream.aclose()
            await until(lambda: one.mesh.connected(1) == [2] and two.mesh.connected(1) == [1])

    run(check)


def test_many_idle_connections_do_not_keep_members_out() -> None:
    async def check() -> None:
        ports = [free_port(), free_port()]
        one, two = Node(1, ports[0]), Node(2, ports[1])
        async with running(one, two) as nursery:
            streams = [await trio.open_tcp_stream("127.0.0.1", ports[1]) for _ in range(100)]
            two.join(epoch_of(ports))
            one.join(epoch_of(ports))
            await until(lambda: one.mesh.connected(1) == [2])
            for stream in streams:
                nursery.start_soon(stream.aclose)

    run(check)
