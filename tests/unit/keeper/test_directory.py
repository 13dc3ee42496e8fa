"""Who is who: one peer in several committees, and records that claim what is somebody else's."""

from __future__ import annotations

from authnet_core.protocol.views import EpochView, MemberView
from p2p_dkg.network.directory import Directory, Peer
from p2p_dkg.network.frames import Hello

CHAIN = "test-1"
OWN, ANN, BOB, EVE = ("own", "ann", "bob", "eve")


def member(index: int, name: str, **changes: str) -> MemberView:
    fields = {"identity": f"key of {name}", "peer_id": f"peer {name}", "p2p_addr": f"at {name}"} | changes
    return MemberView(index=index, operator="", consensus="", comet_addr="", endpoint="", **fields)


def epoch(number: int, *members: MemberView) -> EpochView:
    return EpochView(
        epoch=number, n=5, k=3, t=1, status="serving", members=members, committee_hash=f"{number:02x}" * 32
    )


def hash_of(number: int) -> bytes:
    return bytes([number]) * 32


def directory(*committees: EpochView, name: str = OWN) -> Directory:
    return Directory(CHAIN, committees, f"key of {name}", f"peer {name}")


FIRST = epoch(1, member(1, OWN), member(2, ANN), member(3, BOB))
SECOND = epoch(2, member(1, BOB), member(2, EVE), member(4, OWN))


def test_a_peer_has_a_place_in_each_committee() -> None:
    known = directory(SECOND, FIRST)
    assert set(known.peers) == {"peer ann", "peer bob", "peer eve"}
    bob = known.peers["peer bob"]
    assert bob.places == ((1, 3), (2, 1))
    assert (bob.index_in(1), bob.index_in(2), bob.index_in(3)) == (3, 1, None)
    assert known.members(1) == {2: "peer ann", 3: "peer bob"}
    assert known.members(2) == {1: "peer bob", 2: "peer eve"}
    assert known.members(3) == {}


def test_a_node_of_one_committee_knows_the_other_one_too() -> None:
    assert set(directory(FIRST, SECOND, name=ANN).peers) == {"peer own", "peer bob", "peer eve"}


def test_a_node_of_no_committee_has_no_peers() -> None:
    known = directory(FIRST, SECOND, name="stranger")
    assert known.peers == {}
    assert known.hello("peer bob", 0) is None


def test_a_later_record_can_not_take_a_peer_id_over() -> None:
    """Else one registration with a dead address and another node's peer id would cut that node off."""
    thief = epoch(2, member(1, OWN), member(5, EVE, peer_id="peer bob", p2p_addr="nowhere"))
    for committees in ((FIRST, thief), (thief, FIRST)):
        assert directory(*committees).peers["peer bob"] == Peer("peer bob", "at bob", "key of bob", ((1, 3),))


def test_a_later_record_can_not_take_this_nodes_own_peer_id() -> None:
    thief = epoch(2, member(1, BOB), member(5, EVE, peer_id="peer own"))
    known = directory(FIRST, thief)
    assert "peer own" not in known.peers
    assert known.hello("peer bob", 0) == known.hello("peer bob", 1) == Hello(CHAIN, 1, hash_of(1), 1)


def test_a_member_may_correct_its_own_address() -> None:
    moved = epoch(2, member(1, OWN), member(2, BOB, p2p_addr="elsewhere"))
    assert directory(FIRST, moved).peers["peer bob"].address == "elsewhere"


def test_the_hello_names_a_shared_committee_first_and_others_in_turn() -> None:
    known = directory(FIRST, SECOND)
    first, second = Hello(CHAIN, 1, hash_of(1), 1), Hello(CHAIN, 2, hash_of(2), 4)
    assert [known.hello("peer bob", turn) for turn in range(3)] == [first, second, first]
    assert [known.hello("peer eve", turn) for turn in range(3)] == [second, first, second]


def test_the_answer_names_the_committee_it_heard_of() -> None:
    known = directory(FIRST, SECOND)
    assert known.hello("peer bob", 0, Hello(CHAIN, 2, hash_of(2), 1)) == Hello(CHAIN, 2, hash_of(2), 4)
    only_new = directory(FIRST, SECOND, name=EVE)
    assert only_new.hello("peer ann", 0, Hello(CHAIN, 1, hash_of(1), 2)) == Hello(CHAIN, 2, hash_of(2), 2)


def test_a_hello_is_right_for_a_place_that_is_known_and_no_other() -> None:
    known = directory(FIRST, SECOND)
    assert known.is_right("peer bob", Hello(CHAIN, 1, hash_of(1), 3))
    assert known.is_right("peer bob", Hello(CHAIN, 2, hash_of(2), 1))
    assert known.is_right("peer eve", Hello(CHAIN, 2, hash_of(2), 2))
    for peer, hello in (
        ("peer bob", Hello(CHAIN, 2, hash_of(2), 3)),  # its index in the other committee
        ("peer bob", Hello(CHAIN, 2, hash_of(1), 1)),
        ("peer bob", Hello("test-2", 1, hash_of(1), 3)),
        ("peer bob", Hello(CHAIN, 1, hash_of(1), 3, version=2)),
        ("peer bob", Hello(CHAIN, 3, hash_of(3), 3)),
        ("peer eve", Hello(CHAIN, 1, hash_of(1), 3)),
        ("peer nobody", Hello(CHAIN, 1, hash_of(1), 3)),
    ):
        assert not known.is_right(peer, hello)
