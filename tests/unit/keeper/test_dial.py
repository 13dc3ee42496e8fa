"""Whatever another operator registers as address or peer id, it is a failed dial and not the end of the keeper."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from p2p_dkg.network.frames import Hello
from p2p_dkg.network.host import DialFailed, PeerHost, peer_id_of
from p2p_dkg.network.link import Link, Peer

GOOD_ID = peer_id_of(bytes(32))


async def nothing(_: str, __: Any) -> None:
    """No stream comes in here."""


def host() -> PeerHost:
    return PeerHost(b"\x01" * 32, "/ip4/127.0.0.1/tcp/0", nothing)


@pytest.mark.parametrize(
    ("peer_id", "address"),
    [
        (GOOD_ID, "garbage"),
        (GOOD_ID, ""),
        (GOOD_ID, "/ip4/1.2.3.4/tcp/99999"),
        (GOOD_ID, "/ip4/127.0.0.1"),
        (GOOD_ID, "/dns/x/udp/3"),
        ("0OIl", "/ip4/127.0.0.1/tcp/1"),
        ("", "/ip4/127.0.0.1/tcp/1"),
    ],
)
def test_nonsense_from_the_registry_is_a_failed_dial(peer_id: str, address: str) -> None:
    async def main() -> None:
        with trio.fail_after(15), pytest.raises(DialFailed):
            await host().dial(peer_id, address)

    trio.run(main)


def test_a_link_to_nonsense_goes_on_trying() -> None:
    async def main() -> None:
        own = Hello("test-1", 1, bytes(32), 1)
        link = Link(host(), own, Peer(2, "0OIl", "garbage"), lambda _, __: None)
        with trio.move_on_after(0.5) as scope:
            await link.run()
        assert scope.cancelled_caught
        assert not link.connected
        await link._host.hang_up("0OIl")

    trio.run(main)
