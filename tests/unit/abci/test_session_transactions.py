"""ENCKEY, DEAL, ACK, OPENED, FINAL, KEYS, HAVE: every refusal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from authnet_core.crypto import merkle, pok
from authnet_core.crypto.secp256k1 import Q
from authnet_core.errors import Code
from authnet_core.protocol.dkg.strings import enckey_context
from authnet_core.wire import authnet_pb2 as wire
from tests.unit.abci.world import CHAIN, SEED, World, pub, secret

ALL = 31


def enckey(world: World, member: int, *shape: int, **changes: Any) -> Code | None:
    return world.send(world.tx(member, enckey=world.enckey(member, *shape, **changes)))[0]


# ENCKEY


def test_enckeys_are_announced_replaced_and_extended(world: World) -> None:
    assert enckey(world, 1, 0, 4) is None
    assert enckey(world, 1, 2, 8) is None
    view = world.query("/enckeys").members[0]
    assert (view.first, view.last) == (0, 9)
    assert view.service_key == pub(secret("service", 1)).hex()
    assert world.query("/epoch/1").members[0].service_key == view.service_key


def test_enckey_refusals(world: World) -> None:
    assert enckey(world, 1, 0, 0) == Code.MALFORMED
    assert enckey(world, 1, 0, 33) == Code.MALFORMED
    assert enckey(world, 1, 0, 4, service_key=b"") == Code.MALFORMED
    assert enckey(world, 1, 0, 4, service_key=bytes(33)) == Code.MALFORMED
    assert enckey(world, 1, 90, 7, service_key=pub(5)) == Code.BAD_COUNTER
    assert enckey(world, 1, 2**64 - 1, 1, service_key=pub(5)) == Code.BAD_COUNTER
    assert enckey(world, 1, 0, 4) is None
    assert enckey(world, 1, 5, 4) == Code.BAD_COUNTER
    assert enckey(world, 1, 2, 4, service_key=pub(5)) == Code.ALREADY_DONE
    assert enckey(world, 1, 2, 4, service_key=pub(secret("service", 1))) is None


@pytest.mark.parametrize("wrong", [{"member": 2}, {"counter": 1}, {"epoch": 2}, {"chain": "other-1"}])
def test_an_enckey_proof_is_bound_to_its_place(world: World, wrong: dict[str, Any]) -> None:
    context = enckey_context(
        wrong.get("chain", CHAIN), wrong.get("epoch", 1), wrong.get("counter", 0), wrong.get("member", 1)
    )
    entry = wire.EncKeyEntry(key=pub(7), pok=pok.prove(7, context, SEED))
    assert enckey(world, 1, 0, 1, keys=[entry]) == Code.BAD_PROOF


@pytest.mark.parametrize("proof", [b"", bytes(65), b"x" * 66])
def test_an_enckey_needs_a_proof(world: World, proof: bytes) -> None:
    assert enckey(world, 1, 0, 1, keys=[wire.EncKeyEntry(key=pub(7), pok=proof)]) == Code.BAD_PROOF
    assert enckey(world, 1, 0, 1, keys=[wire.EncKeyEntry(key=b"", pok=proof)]) == Code.BAD_PROOF


def test_started_counters_are_gone(dealing: World) -> None:
    started = dealing.query("/enckeys").next_counter
    assert started == 2
    assert enckey(dealing, 1, 0, 2, service_key=b"") == Code.BAD_COUNTER
    assert enckey(dealing, 1, 1, 3) is None
    assert dealing.query("/enckeys").members[0].first == 2


def test_enckeys_leave_no_gap_below(world: World) -> None:
    """A gap would shift the later keys to counters that their proofs are not for."""
    assert enckey(world, 1, 20, 4, service_key=pub(secret("service", 1))) is None
    assert enckey(world, 1, 0, 19) == Code.BAD_COUNTER
    assert enckey(world, 1, 0, 20) is None
    view = world.query("/enckeys").members[0]
    assert (view.first, view.last) == (0, 23)


def test_one_member_can_not_fill_blocks_with_enckeys(tmp_path: Path) -> None:
    """Each costs every node up to 32 proofs, again and again."""
    world = World(tmp_path / "app", params={"enckey_quota": 3})
    world.block()
    world.begin_epoch()
    for count in (1, 2, 3):
        assert enckey(world, 1, 0, count) is None
    assert enckey(world, 1, 0, 4) == Code.QUOTA_EXCEEDED
    assert enckey(world, 2, 0, 4) is None, "the others may go on"
    world.block(step_ms=60_000)
    assert enckey(world, 1, 0, 5) is None
    world.app.close()


def test_enckeys_of_the_observers_are_too_early(fresh: World) -> None:
    assert enckey(fresh, 1, 0, 1) == Code.WRONG_PHASE


# DEAL


def deal(world: World, member: int, sid: bytes, /, **changes: Any) -> Code | None:
    return world.send(world.tx(member, deal=world.deal(member, sid, **changes)))[0]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"sid": bytes(32)}, Code.UNKNOWN_SESSION),
        ({"sid": b"short"}, Code.UNKNOWN_SESSION),
        ({"root": b"short"}, Code.MALFORMED),
        ({"list_hash": b""}, Code.MALFORMED),
        ({"nonce_hash": bytes(33)}, Code.MALFORMED),
        ({"u": [bytes(32)] * 2}, Code.MALFORMED),
        ({"u": [bytes(32)] * 4}, Code.MALFORMED),
        ({"u": [bytes(32), bytes(32), Q.to_bytes(32, "big")]}, Code.MALFORMED),
        ({"u": [bytes(32), bytes(32), bytes(31)]}, Code.MALFORMED),
        ({"e": pub(9)}, Code.BAD_PROOF),
        ({"e": bytes(33)}, Code.BAD_PROOF),
        ({"pok": bytes(65)}, Code.BAD_PROOF),
    ],
    ids=str,
)
def test_deal_refusals(dealing: World, changes: dict[str, Any], code: Code) -> None:
    assert deal(dealing, 1, dealing.open_sid(), **changes) == code


def test_a_deal_is_bound_to_dealer_and_session(dealing: World) -> None:
    first, second = (bytes.fromhex(s.sid) for s in dealing.query("/sessions").open)
    stolen = dealing.deal(2, first)
    assert dealing.send(dealing.tx(1, deal=stolen)) == [Code.BAD_PROOF]
    moved = dealing.deal(1, first, sid=second)
    assert dealing.send(dealing.tx(1, deal=moved)) == [Code.BAD_PROOF]


def test_one_deal_per_dealer_ever(dealing: World) -> None:
    sid = dealing.open_sid()
    assert deal(dealing, 1, sid) is None
    assert deal(dealing, 1, sid, root=bytes(32)) == Code.ALREADY_DONE
    copied = dealing.deal(1, sid)
    assert deal(dealing, 2, sid, e=copied.e, pok=copied.pok) == Code.BAD_PROOF


def test_deals_come_before_q(dealing: World) -> None:
    sid = dealing.open_sid()
    dealing.deals(sid, [1, 2, 3, 4])
    dealing.acks(sid, 15)
    dealing.block()
    dealing.block(step_ms=2_000)
    assert deal(dealing, 5, sid) == Code.WRONG_PHASE
    assert dealing.query(f"/session/{sid.hex()}").q == (1, 2, 3, 4)


# ACK


def ack(world: World, member: int, sid: bytes, dealers: int) -> Code | None:
    return world.send(world.tx(member, ack=wire.Ack(sid=sid, dealers=dealers)))[0]


def test_ack_refusals(dealing: World) -> None:
    sid = dealing.open_sid()
    dealing.deals(sid, [1, 2])
    assert ack(dealing, 1, bytes(32), 1) == Code.UNKNOWN_SESSION
    assert ack(dealing, 1, sid, 0) == Code.NO_NEW_BITS
    assert ack(dealing, 1, sid, 32) == Code.MALFORMED
    assert ack(dealing, 1, sid, 2**64 - 1) == Code.MALFORMED
    assert ack(dealing, 1, sid, 4) == Code.NOT_A_DEALER
    assert ack(dealing, 1, sid, 7) == Code.NOT_A_DEALER
    assert ack(dealing, 1, sid, 1) is None
    assert ack(dealing, 1, sid, 1) == Code.NO_NEW_BITS
    assert ack(dealing, 1, sid, 3) is None
    assert dealing.query(f"/session/{sid.hex()}").acks == {1: 3}


def test_acks_only_gain_bits(dealing: World) -> None:
    sid = dealing.open_sid()
    dealing.deals(sid, [1, 2])
    assert ack(dealing, 1, sid, 1) is None
    assert ack(dealing, 1, sid, 2) is None
    assert dealing.query(f"/session/{sid.hex()}").acks == {1: 3}


def test_acks_come_before_q(dealing: World) -> None:
    sid = dealing.open_sid()
    dealing.deals(sid)
    dealing.acks(sid, ALL, [1, 2, 3, 4])
    assert ack(dealing, 5, sid, ALL) == Code.WRONG_PHASE


# OPENED


def opened(world: World, member: int, sid: bytes, dealers: int) -> Code | None:
    return world.send(world.tx(member, opened=wire.Opened(sid=sid, dealers=dealers)))[0]


@pytest.fixture
def certified(dealing: World) -> World:
    """Q = 1, 2, 3, 4."""
    sid = dealing.open_sid()
    dealing.deals(sid, [1, 2, 3, 4])
    dealing.acks(sid, 15)
    dealing.block()
    dealing.block(step_ms=2_000)
    return dealing


def test_opened_refusals(certified: World) -> None:
    sid = certified.open_sid()
    assert opened(certified, 1, sid, 0) == Code.NO_NEW_BITS
    assert opened(certified, 1, sid, 64) == Code.MALFORMED
    assert opened(certified, 1, sid, 16) == Code.NOT_A_DEALER
    assert opened(certified, 1, sid, 15) is None
    assert opened(certified, 1, sid, 7) == Code.NO_NEW_BITS
    second = bytes.fromhex(certified.query("/sessions").open[1].sid)
    assert opened(certified, 1, second, 1) == Code.WRONG_PHASE


def test_lists_are_open_with_t_plus_1_for_each_dealer(certified: World) -> None:
    sid = certified.open_sid()
    certified.opens(sid, 15, [1])
    certified.opens(sid, 7, [2])
    assert certified.query(f"/session/{sid.hex()}").phase == "certified"
    certified.opens(sid, 8, [3])
    assert certified.query(f"/session/{sid.hex()}").phase == "opened"
    assert opened(certified, 4, sid, 15) is None


# FINAL


def final(world: World, member: int, sid: bytes, root: bytes) -> Code | None:
    return world.send(world.tx(member, final=wire.Final(sid=sid, root=root)))[0]


@pytest.fixture
def open_lists(certified: World) -> World:
    certified.opens(certified.open_sid(), 15, [1, 2])
    return certified


def test_final_refusals(open_lists: World) -> None:
    sid = open_lists.open_sid()
    second = bytes.fromhex(open_lists.query("/sessions").open[1].sid)
    assert final(open_lists, 1, second, bytes(32)) == Code.WRONG_PHASE
    assert final(open_lists, 1, sid, b"short") == Code.MALFORMED
    assert final(open_lists, 1, sid, b"r" * 32) is None
    assert final(open_lists, 1, sid, b"s" * 32) == Code.ALREADY_DONE


def test_n_minus_t_equal_roots_make_it_final(open_lists: World) -> None:
    sid = open_lists.open_sid()
    path = f"/session/{sid.hex()}"
    assert final(open_lists, 1, sid, b"x" * 32) is None
    for member in (2, 3, 4):
        assert final(open_lists, member, sid, b"r" * 32) is None
    assert open_lists.query(path).phase == "opened"
    assert final(open_lists, 5, sid, b"r" * 32) is None
    view = open_lists.query(path)
    assert (view.phase, view.root, view.holders) == ("final", (b"r" * 32).hex(), (2, 3, 4, 5))
    assert (view.count, view.first_index) == (64 * 2, 0)
    assert sid.hex() in [item.sid for item in open_lists.query("/sessions/retained")]


def test_a_late_final_with_the_root_counts_as_holding(open_lists: World) -> None:
    sid = open_lists.open_sid()
    open_lists.finals(sid, b"r" * 32, [1, 2, 3, 4])
    assert final(open_lists, 5, sid, b"x" * 32) == Code.ROOT_MISMATCH
    assert final(open_lists, 5, sid, b"r" * 32) is None
    assert open_lists.query(f"/session/{sid.hex()}").holders == (1, 2, 3, 4, 5)
    assert open_lists.query("/sessions/retained") == []
    assert open_lists.send(open_lists.tx(5, have=wire.Have(sid=sid))) == [Code.ALREADY_DONE]


# KEYS and HAVE


@pytest.fixture
def final_session(open_lists: World) -> tuple[World, bytes, list[bytes]]:
    sid = open_lists.open_sid()
    pairs = open_lists.key_pairs(sid, 128)
    open_lists.finals(sid, merkle.root(pairs), [1, 2, 3, 4])
    return open_lists, sid, pairs


def test_keys_refusals(final_session: tuple[World, bytes, list[bytes]]) -> None:
    world, sid, pairs = final_session

    def keys(**changes: Any) -> Code | None:
        fields: dict[str, Any] = {"sid": sid, "chunk": 0, "keys": b"".join(pairs), "path": []}
        return world.send(world.tx(1, keys=wire.Keys(**{**fields, **changes})))[0]

    second = bytes.fromhex(world.query("/sessions").open[0].sid)
    assert keys(sid=second) == Code.WRONG_PHASE
    assert keys(chunk=1) == Code.MALFORMED
    assert keys(keys=b"".join(pairs[:-1])) == Code.MALFORMED
    assert keys(keys=b"") == Code.MALFORMED
    assert keys(keys=b"".join([pairs[1], pairs[0], *pairs[2:]])) == Code.ROOT_MISMATCH
    assert keys(path=[bytes(32)]) == Code.ROOT_MISMATCH
    assert world.query("/pool").free == 0
    assert keys() is None
    assert world.query("/pool").free == 128 - 8
    assert world.send(world.keys(sid, pairs, member=2)) == [Code.ALREADY_DONE]


def test_have_refusals(final_session: tuple[World, bytes, list[bytes]]) -> None:
    world, sid, _ = final_session
    second = bytes.fromhex(world.query("/sessions").open[0].sid)
    assert world.send(world.tx(5, have=wire.Have(sid=second))) == [Code.WRONG_PHASE]
    assert world.send(world.tx(5, have=wire.Have(sid=bytes(32)))) == [Code.UNKNOWN_SESSION]
    assert world.send(world.tx(1, have=wire.Have(sid=sid))) == [Code.ALREADY_DONE]
    assert world.send(world.tx(5, have=wire.Have(sid=sid))) == [None]
    assert world.query(f"/session/{sid.hex()}").holders == (1, 2, 3, 4, 5)


def test_a_member_without_an_encryption_key_holds_nothing(world: World) -> None:
    world.announce([1, 2, 3, 4])
    world.block()
    world.block(step_ms=2_000)
    world.block()
    sid = world.open_sid()
    assert world.query(f"/session/{sid.hex()}").eks[4] == ""
    world.deals(sid)
    assert ack(world, 5, sid, 1) == Code.NO_ENCKEY
    world.acks(sid, ALL, [1, 2, 3, 4])
    world.opens(sid, ALL, [1, 2])
    assert final(world, 5, sid, bytes(32)) == Code.NO_ENCKEY
    world.finals(sid, b"r" * 32, [1, 2, 3, 4])
    assert world.send(world.tx(5, have=wire.Have(sid=sid))) == [Code.NO_ENCKEY]
