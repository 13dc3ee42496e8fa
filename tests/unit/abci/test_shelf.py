"""The side that gives a state: when one is taken, what is handed out, and how it is cut."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from abci_app.snapshots import chunks
from abci_app.snapshots.restore import Offer
from abci_app.snapshots.shelf import KEPT, Shelf
from authnet_core.errors import AuthnetError
from tests.unit.abci.handing_over import entries_of, lived, shelf_of
from tests.unit.abci.world import World, account


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks of two kilobytes: a small state has many."""
    monkeypatch.setattr(chunks, "CHUNK_BYTES", 2_048)


def test_states_are_taken_at_the_first_block_of_a_period(tmp_path: Path) -> None:
    world = World(tmp_path / "app")
    shelf = world.app.shelf = Shelf(world.app.store, 1_000)
    world.block()
    taken = []
    for _ in range(60):
        before = world.time_ms
        world.block(step_ms=300)
        shelf.wait()
        if world.time_ms // 1_000 != before // 1_000:
            taken.append(world.height)
    assert [offer.height for offer in shelf.offers()] == taken[: -KEPT - 1 : -1]
    assert shelf.chunk(taken[0], 0) == b""
    assert shelf.chunk(taken[-1], 0) != b""
    assert shelf.chunk(taken[-1], 1) == b""
    world.app.close()


def _entries_in(offer: Offer, shelf: Shelf, index: int) -> list[tuple[bytes, bytes]]:
    return chunks.read(shelf.chunk(offer.height, index), b"", is_last=index + 1 == offer.chunks)


def test_blocks_go_on_while_a_state_is_taken(tmp_path: Path, small: None) -> None:
    """What is handed out is of the height it was taken at, whatever is written meanwhile."""
    world = lived(World(tmp_path / "app"))
    with shelf_of(world.app) as shelf:
        before = entries_of(world.app)
        for number in range(100, 110):
            world.send(world.assign(1 + number % 5, account(number)))
        offer = shelf.offers()[0]
        whole = partial(_entries_in, offer)
        found = [entry for i in range(offer.chunks) for entry in whole(shelf, i)]
        assert dict(found) == before != entries_of(world.app)
    world.app.close()


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([b"k", b"r", b"s"]), st.binary(max_size=9), st.binary(max_size=200))))
def test_chunks_give_back_what_they_were_made_of(made: list[tuple[bytes, bytes, bytes]]) -> None:
    found = sorted({table + key: value for table, key, value in made}.items())
    cut = [chunk for _, chunk in chunks.cut(iter(found))]
    after, again = b"", []
    for chunk in cut:
        again += chunks.read(chunk, after, is_last=chunk is cut[-1])
        after = again[-1][0]
    assert again == found


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=100))
def test_any_bytes_are_a_chunk_or_a_refusal(raw: bytes) -> None:
    try:
        found = chunks.read(raw, b"", is_last=True)
    except AuthnetError:
        return
    assert b"".join(chunks.pack(*entry) for entry in found) == raw
