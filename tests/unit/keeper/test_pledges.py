"""What a keeper must not forget: which committees it saw in the registry, and what each mask key was used for."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authnet_core.errors import AuthnetError, Code
from authnet_core.protocol.views import EpochView, MemberView
from authnet_core.wire import authnet_pb2 as pb
from p2p_dkg.keystore.pledges import MAX_SIGHTINGS, Pledges, Sighting
from p2p_dkg.keystore.store import Keystore, open_keystore
from p2p_dkg.runner.sightings import sighting_of, view_keys

RID, OTHER = b"r" * 32, b"o" * 32


def reopen(folder: Path) -> Keystore:
    passphrase = folder / "passphrase"
    passphrase.write_text("x")
    passphrase.chmod(0o600)
    return open_keystore(folder / "keeper", "test", passphrase, 2)


def record(**changes: object) -> pb.EpochRecord:
    members = [
        pb.Member(
            index=j, operator=f"0x{j:040x}", identity=bytes([2] * 32 + [j]), consensus=bytes([j]) * 32,
            peer_id=f"peer{j}", p2p_addr=f"/ip4/127.0.0.1/tcp/{j}", comet_addr=f"id{j}@h:1", endpoint="http://h",
        )
        for j in range(1, 6)
    ]  # fmt: skip
    made = pb.EpochRecord(epoch=2, n=5, k=3, t=1, members=members, previous=1)
    for name, value in changes.items():
        setattr(made, name, value)
    return made


def view_of(made: pb.EpochRecord) -> EpochView:
    members = tuple(
        MemberView(
            index=m.index, operator=m.operator, identity=m.identity.hex(), consensus=m.consensus.hex(),
            peer_id=m.peer_id, p2p_addr=m.p2p_addr, comet_addr=m.comet_addr, endpoint=m.endpoint,
        )
        for m in made.members
    )  # fmt: skip
    return EpochView(
        epoch=made.epoch, n=made.n, k=made.k, t=made.t, status="next", members=members, committee_hash="aa"
    )


def test_a_committee_that_was_seen_may_be_dealt_to_also_after_a_restart(tmp_path: Path) -> None:
    pledges = reopen(tmp_path).pledges
    keys = view_keys(view_of(record()))
    assert not pledges.may_deal(2, keys)
    assert pledges.sight(sighting_of(record()))
    assert not pledges.sight(sighting_of(record()))
    for known in (pledges, reopen(tmp_path).pledges):
        assert known.may_deal(2, keys)
        assert not known.may_deal(3, keys)


def test_an_abort_is_never_taken_back(tmp_path: Path) -> None:
    pledges = reopen(tmp_path).pledges
    pledges.sight(sighting_of(record()))
    pledges.sight(sighting_of(record(aborted=True)))
    pledges.sight(sighting_of(record()))
    assert not pledges.may_deal(2, view_keys(view_of(record())))
    assert not reopen(tmp_path).pledges.may_deal(2, view_keys(view_of(record())))


def test_a_corrected_address_is_the_same_committee() -> None:
    corrected = record()
    corrected.members[2].p2p_addr = "/dns4/elsewhere/tcp/1"
    corrected.members[2].comet_addr = "id3@elsewhere:1"
    corrected.members[2].endpoint = "https://elsewhere"
    assert view_keys(view_of(corrected)) == sighting_of(record()).keys


@pytest.mark.parametrize("field", ["identity", "consensus", "peer_id"])
def test_another_key_of_one_member_is_another_committee(field: str) -> None:
    rewritten = record()
    old = getattr(rewritten.members[4], field)
    setattr(rewritten.members[4], field, "peer9" if isinstance(old, str) else bytes([9]) + old[1:])
    assert view_keys(view_of(rewritten)) != sighting_of(record()).keys


@pytest.mark.parametrize("change", [{"n": 6}, {"k": 2}, {"t": 0}, {"epoch": 3}])
def test_other_sizes_or_another_number_are_another_committee(change: dict[str, int]) -> None:
    assert view_keys(view_of(record(**change))) != sighting_of(record()).keys


def test_members_in_another_order_are_another_committee() -> None:
    swapped = record()
    swapped.members[0].index, swapped.members[1].index = 2, 1
    assert view_keys(view_of(swapped)) != sighting_of(record()).keys


@given(st.lists(st.tuples(st.integers(1, 200), st.sampled_from("ab"), st.booleans()), max_size=200))
def test_sightings_are_bounded_and_an_abort_outlives_what_it_calls_off(seen: list[tuple[int, str, bool]]) -> None:
    stored = []
    pledges = Pledges(None, None, lambda name, value: stored.append((name, value)))
    for epoch, keys, aborted in seen:
        pledges.sight(Sighting(epoch, keys, aborted))
        kept = stored[-1][1].seen
        assert len(kept) <= MAX_SIGHTINGS
        for other, other_keys, was_aborted in seen[: seen.index((epoch, keys, aborted)) + 1]:
            if was_aborted:
                assert not pledges.may_deal(other, other_keys)


def test_a_mask_serves_one_resharing_for_ever(tmp_path: Path) -> None:
    pledges = reopen(tmp_path).pledges
    assert pledges.claim_mask(7, RID, has_dealt=False)
    assert pledges.claim_mask(7, RID, has_dealt=True)
    assert not pledges.claim_mask(7, OTHER, has_dealt=True)
    assert pledges.claim_mask(8, OTHER, has_dealt=False)
    again = reopen(tmp_path).pledges
    assert again.claim_mask(7, RID, has_dealt=True)
    assert not again.claim_mask(7, OTHER, has_dealt=True)
    assert not again.claim_mask(8, RID, has_dealt=True)


def test_a_mask_is_not_given_twice_to_a_resharing_whose_deal_is_gone(tmp_path: Path) -> None:
    """Deal and answer are erased when it is over: what is shown of it afterwards must not get another answer."""
    pledges = reopen(tmp_path).pledges
    assert pledges.claim_mask(7, RID, has_dealt=False)
    assert not pledges.claim_mask(7, RID, has_dealt=False)
    assert not reopen(tmp_path).pledges.claim_mask(7, RID, has_dealt=False)


@pytest.mark.parametrize("name", ["sightings", "masks"])
def test_a_record_that_was_tampered_with_is_noticed(tmp_path: Path, name: str) -> None:
    pledges = reopen(tmp_path).pledges
    pledges.sight(sighting_of(record()))
    pledges.claim_mask(1, RID, has_dealt=False)
    path = tmp_path / "keeper" / name
    raw = bytearray(path.read_bytes())
    raw[-1] ^= 1
    path.write_bytes(bytes(raw))
    with pytest.raises(AuthnetError) as caught:
        reopen(tmp_path)
    assert caught.value.code is Code.KEYSTORE_DAMAGED
