"""k-1 real nodes that put everything together: disks and passphrases, tokens in flight, what they tell clients.

They get no key, no login of anybody whose token they see, and no client to believe in another address. Beside each
stands what k nodes would get, by the same means.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import anyio
import msgspec
import pytest

from authnet_client import Client, Network
from authnet_core.crypto import secp256k1, shamir
from authnet_core.protocol.committee import Committee
from authnet_core.protocol.dkg import records
from authnet_core.protocol.dkg.messages import Bundle
from authnet_core.protocol.dkg.picture import params_of, read_view
from authnet_core.protocol.views import EpochView, KeyView, SessionView
from p2p_dkg.keystore.sessions import EK
from tests.component.api import lying_front as lies
from tests.component.api.lying_front import Lie, lying_fronts
from tests.e2e.doors import DOORS, Ask, Door, Paper, SessionKey, bound_token, commit_at, everywhere, forge, open_key
from tests.e2e.keeper_files import opened_copy
from tests.e2e.key_checks import key_list, session, start_session, wait_idle, wait_ready
from tests.e2e.net import Net, wait_for
from tests.sim.coalition import Table

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]
VERIFIER = "mock-google"


# -- disks


@dataclass(frozen=True)
class Disk:
    """All that one node's passphrase opens of its keystore."""

    session: dict[str, bytes]
    """Records of one session, its final shares among them."""
    ek: bytes | None
    batches: dict[str, bytes]
    """sid -> shares and nonces."""
    scalars: frozenset[bytes]
    """Every 32 bytes that are a secret of some kind."""


def read_disk(net: Net, j: int, sid: str) -> Disk:
    with opened_copy(net, j) as store:
        files = store.session(bytes.fromhex(sid)).load()
        epoch = store.epoch(1)
        batches = {held.hex(): epoch.batch(held) or b"" for held in epoch.held}
        secret = [value[at : at + 32] for value in store.reveal() for at in range(0, len(value) - 31, 32)]
    ek = files.pop(EK, None)
    return Disk(files | {records.SHARES: batches[sid]}, ek, batches, frozenset(secret))


def table_of(net: Net, view: SessionView, disks: dict[int, Disk]) -> Table:
    """What these nodes know of a session, with what the chain says to everybody."""
    epoch = net.query(1, "/epoch/current", EpochView)
    committee = Committee(epoch.n, epoch.k, epoch.t)
    params = params_of(net.first.chain_id, committee, bytes.fromhex(epoch.committee_hash), view)
    bundles: list[Bundle] = []
    for disk in disks.values():
        stored = {i: disk.session.get(records.bundle_name(i)) for i in params.parties}
        bundles += [records.load_bundle(params, i, raw) for i, raw in stored.items() if raw]
    return Table(
        params=params,
        picture=read_view(params, view),
        members=frozenset(disks),
        ek_secrets={j: disk.ek for j, disk in disks.items() if disk.ek},
        disks={j: disk.session for j, disk in disks.items()},
        bundles=bundles,
    ).open_all()


def final(net: Net, sid: str) -> SessionView | None:
    view = session(net, 1, sid)
    return view if view.phase == "final" and view.chunks else None


def opened_by(net: Net, keys: Iterable[KeyView], disks: dict[int, Disk]) -> set[int]:
    """Keys of any session that the final shares on these disks open, in whatever number they are put together."""
    found = set()
    for key in keys:
        held = {j: disk.batches[key.sid] for j, disk in disks.items() if key.sid in disk.batches}
        own = {j: int.from_bytes(records.share_at(raw, key.position).share, "big") for j, raw in held.items()}
        for size in range(1, len(own) + 1):
            for some in combinations(sorted(own), size):
                secret = shamir.interpolate_at_zero({j: own[j] for j in some})
                if secp256k1.pub(secp256k1.scalar_bytes(secret)).hex() == key.Y:
                    found.add(key.index)
    return found


def test_the_disks_of_k_minus_one_nodes_open_no_key_and_those_of_k_open_all(small: Net) -> None:
    """A session that one member misses: the others keep what it will ask for, so the disks are as full as they get."""
    wait_idle(small)
    away = small.n
    small.kill_node(away)
    try:
        begun = start_session(small)
        view = wait_for("final without the absent node", 60, lambda: final(small, begun.sid))
        # Listed before the disks are read: the pool is refilled meanwhile.
        keys = key_list(small, 1)
        disks = {j: read_disk(small, j, begun.sid) for j in range(1, away)}
    finally:
        small.start_node(away)
    points = {key.position: bytes.fromhex(key.Y) for key in keys if key.sid == begun.sid}
    assert len(points) == view.count > 0
    for members in combinations(disks, small.k - 1):
        pooled = {j: disks[j] for j in members}
        table = table_of(small, view, pooled)
        assert all(table.receivers_opened(i) == set(members) for i in view.q if i not in members), "the code reads them"
        assert table.determined() == ([], 0)
        assert table.opened_keys(points) == {}
        assert opened_by(small, keys, pooled) == set()
    publics = {key.Y for key in keys} | {key.N for key in keys}
    nonces = {
        raw[at + 32 : at + 64]
        for disk in disks.values()
        for raw in disk.batches.values()
        for at in range(0, len(raw), 64)
    }
    for disk in disks.values():
        # A nonce is known to every keeper and opens N, by design; nothing else on a disk opens anything.
        own = {s for s in disk.scalars - nonces if 0 < int.from_bytes(s, "big") < secp256k1.Q}
        assert not {secp256k1.pub(s).hex() for s in own} & publics
    enough = {j: disks[j] for j in range(1, small.k + 1)}
    table = table_of(small, view, enough)
    assert table.determined() == (sorted(points), 0)
    assert set(table.opened_keys(points)) == set(points)
    assert opened_by(small, keys, enough) == {key.index for key in keys}
    wait_ready(small)


# -- tokens in flight


@pytest.fixture(params=sorted(DOORS))
def door(request: pytest.FixtureRequest, small: Net) -> Door:
    return DOORS[request.param](small)


@pytest.fixture(scope="module")
def identities(small: Net) -> dict[int, bytes]:
    """Identity keys off the nodes' own disks."""
    found = {}
    for j in small.indexes:
        with opened_copy(small, j) as store:
            found[j] = store.identity.reveal()
    return found


@pytest.fixture
def user() -> str:
    return f"victim-{secrets.token_hex(6)}@example.com"


def codes(door: Door, nodes: Iterable[int], ask: Ask) -> set[str]:
    return {answer.code for answer in everywhere(nodes, lambda j: door.share(j, ask)).values()}


@dataclass(frozen=True)
class Theft:
    """A victim has committed at n-t nodes and revealed the token; the thieves turned to the one it left out."""

    token: str
    victim: SessionKey
    thief: SessionKey
    papers: tuple[Paper, ...]
    loot: tuple[Paper, ...]


def steal(door: Door, user: str, bad: tuple[int, ...], identities: dict[int, bytes]) -> Theft:
    """The most receipts for a T of their own that the bad nodes can come by, in the worst case for the victim."""
    net = door.net
    token, victim, thief = net.token(VERIFIER, user), SessionKey.fresh(), SessionKey.fresh()
    first = range(1, net.n - net.t + 1)
    papers = commit_at(door, first, token, victim, VERIFIER)
    asked = everywhere(net.indexes, lambda j: door.commit(j, token, thief, VERIFIER))
    assert {asked[j].code for j in first} == {"DUPLICATE_TOKEN"}, "who has spoken for the victim speaks for no other"
    late = [asked[j].paper for j in net.indexes if j not in first]
    signed = [forge(papers[0], identities[j], temp_pub=thief.xy, node_index=j) for j in bad]
    return Theft(token, victim, thief, papers, (*signed, *(paper for paper in late if paper)))


def test_k_minus_one_nodes_get_no_login_from_a_two_round_token_they_see(
    door: Door, small: Net, user: str, identities: dict[int, bytes]
) -> None:
    net, bad = small, tuple(range(1, small.k))
    honest = [j for j in net.indexes if j not in bad]
    theft = steal(door, user, bad, identities)
    assert len(theft.loot) == net.n - net.t - 1, "one receipt too few"
    assert codes(door, honest, Ask(VERIFIER, user, theft.token, theft.loot)) == {"RECEIPTS_TOO_FEW"}
    of_honest = tuple(p for p in theft.papers if p.node_index in honest)
    assert codes(door, honest, Ask(VERIFIER, user, theft.token, theft.loot + of_honest)) == {"RECEIPTS_TOO_FEW"}
    posing = tuple(forge(p, identities[1], temp_pub=theft.thief.xy) for p in of_honest)
    assert codes(door, honest, Ask(VERIFIER, user, theft.token, theft.loot + posing)) == {"RECEIPTS_TOO_FEW"}
    assert codes(door, honest, Ask(VERIFIER, user, theft.token, (), theft.thief)) == {"TOKEN_MODE"}
    # The victim's own receipts release, and to the victim only.
    answers = everywhere(honest, lambda j: door.share(j, Ask(VERIFIER, user, theft.token, theft.papers, theft.thief)))
    for answer in answers.values():
        if answer.released:
            with pytest.raises(ValueError, match="MAC"):
                answer.released.open(theft.thief)
    assert open_key(door, Ask(VERIFIER, user, theft.token, theft.papers), theft.victim)


def test_k_nodes_do_get_it(door: Door, small: Net, user: str, identities: dict[int, bytes]) -> None:
    """The test of the test: one more identity key, and the same means open the victim's key."""
    theft = steal(door, user, tuple(range(1, small.k + 1)), identities)
    stolen = open_key(door, Ask(VERIFIER, user, theft.token, theft.loot), theft.thief)
    assert stolen == open_key(door, Ask(VERIFIER, user, theft.token, theft.papers), theft.victim)


def test_k_minus_one_nodes_get_no_login_from_a_bound_token_they_see(door: Door, small: Net, user: str) -> None:
    net, victim, thief = small, SessionKey.fresh(), SessionKey.fresh()
    token = bound_token(net, user, victim)
    assert open_key(door, Ask(VERIFIER, user, token, key=victim), victim), "all nodes have seen it now"
    honest = range(net.k, net.n + 1)
    assert codes(door, honest, Ask(VERIFIER, user, token, key=thief)) == {"TOKEN_UNBOUND"}
    papers = commit_at(door, net.indexes, token, thief, VERIFIER)
    assert codes(door, honest, Ask(VERIFIER, user, token, papers)) == {"TOKEN_MODE"}
    for answer in everywhere(honest, lambda j: door.share(j, Ask(VERIFIER, user, token, key=victim))).values():
        assert answer.released
        with pytest.raises(ValueError, match="MAC"):
            answer.released.open(thief)


# -- what they tell clients


def in_court(net: Net, liars: int, test: Callable[[Client, Callable[[Lie], None]], Awaitable[None]]) -> None:
    """A client of the real network that meets fronts at the first nodes."""

    async def main() -> None:
        network = await anyio.to_thread.run_sync(Network.from_url, net.first.front)
        async with Client(network, timeout_s=60) as client:
            committee = await client.committee()
            chosen = {j: committee.members[j].endpoint for j in range(1, liars + 1)}
            with lying_fronts(chosen) as fronts:
                moved = {
                    j: msgspec.structs.replace(member, endpoint=fronts[j].url if j in fronts else member.endpoint)
                    for j, member in committee.members.items()
                }
                client._committee = replace(committee, members=moved)

                def tell(lie: Lie) -> None:
                    for front in fronts.values():
                        front.lie = lie

                await test(client, tell)
                assert all(front.lied for front in fronts.values())

    anyio.run(main)


def test_k_minus_one_lying_nodes_change_no_address_and_no_login(small: Net, user: str) -> None:
    liars = tuple(range(1, small.k))

    async def test(client: Client, tell: Callable[[Lie], None]) -> None:
        address = (await client.resolve(VERIFIER, user, patience_s=30)).address
        for lie in (lies.other_y, lies.other_n, lies.thiefs_address, lies.another_node, lies.garbage):
            tell(lie)
            found = await client.resolve(VERIFIER, user, patience_s=30)
            assert (found.address, found.disagreed) == (address, liars), lie.__name__
        tell(lies.absent)
        assert (await client.resolve(VERIFIER, user, assign=False, patience_s=30)).address == address
        for lie in (lies.wrong_share, lies.false_key, lies.wrong_nonce):
            tell(lie)
            done: Any = await client.login(VERIFIER, user, client.dev_tokens(VERIFIER, user), patience_s=30)
            assert (done.address, done.bad_nodes) == (address, liars), lie.__name__

    in_court(small, small.k - 1, test)


def test_k_lying_nodes_would_be_believed(small: Net, user: str) -> None:
    """The test of the test."""

    async def test(client: Client, tell: Callable[[Lie], None]) -> None:
        address = (await client.resolve(VERIFIER, user, patience_s=30)).address
        tell(lies.other_y)
        assert (await client.resolve(VERIFIER, user)).address != address
        tell(lies.false_key)
        done = await client.login(VERIFIER, user, client.dev_tokens(VERIFIER, user))
        assert done.address != address

    in_court(small, small.k, test)
