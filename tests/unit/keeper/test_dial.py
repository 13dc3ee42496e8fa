"""Whatever another operator registers as address or peer id, it is a failed dial and not the end of the keeper."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from p2p_dkg.network.directory import Directory, Peer
from p2p_dkg.network.host import DialFailed, PeerHost, peer_id_of
from p2p_dkg.network.link import Link

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
        here = host()
        bad_id = "z0OIl"  # above every real one: this side dials
        link = Link(here, Directory, Peer(bad_id, "garbage", "", ((1, 2),)), lambda _, __: None)
        assert link.dials
        with trio.move_on_after(0.5) as scope:
            await link.run()
        assert scope.cancelled_caught
        assert not link.connected
        await link._host.hang_up(bad_id)

    trio.run(main)
