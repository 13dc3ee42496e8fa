"""Complaints and the fallback under crashes and under any input: the same state everywhere, the honest unblamed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from abci_app.state import records as r
from abci_app.state import tables
from abci_app.state.state import Block
from authnet_core.wire import authnet_pb2 as wire
from tests.unit.abci.judging import complaint, dealing_of, real_deals, wronged
from tests.unit.abci.world import World

CHEAT, SILENT = 2, 5
HONEST = {1, 3, 5}
"""Member 4 sends anything."""


def start(folder: Path) -> World:
    world = World(folder, params={"first_rows": 1, "rows": 1, "sessions_in_flight": 1, "block_complaints": 64})
    world.begin_epoch()
    world.announce()
    return world


class Shaky(World):
    """Dies before and after each Commit, and computes each block twice."""

    def block(self, *raws: bytes, step_ms: int = 100) -> Any:
        block = Block(self.height + 1, self.time_ms + step_ms)
        dropped = self.app.finalize_block(list(raws), block).pending.meta
        self.reopen()
        finalized = super().block(*raws, step_ms=step_ms)
        assert finalized.pending.meta == dropped
        self.reopen()
        return finalized


def test_crashes_change_nothing(tmp_path: Path) -> None:
    worlds = [
        kind(tmp_path / kind.__name__, params={"first_rows": 2, "sessions_in_flight": 1}) for kind in (World, Shaky)
    ]
    for world in worlds:
        world.begin_epoch()
        world.announce()
        wronged(world)
        world.app.close()
    assert worlds[0].hashes == worlds[1].hashes


def test_the_story_comes_to_rest(tmp_path: Path) -> None:
    """A clock that is written in every block would keep an idle chain from resting."""
    world = World(tmp_path / "app", params={"first_rows": 1, "rows": 1, "pool_high": 1, "pool_low": 1})
    world.begin_epoch()
    world.announce()
    sid = world.open_sid()
    dealings = real_deals(world, sid, evil=(CHEAT,))
    world.send(world.tx(3, complain=complaint(world, dealings[CHEAT], 3)))
    world.acks(sid, 0b11101, [1, 3, 4, 5])
    for _ in range(30):
        world.block(step_ms=500)
    settled = world.app.meta.app_hash
    for _ in range(30):
        world.block(step_ms=1)
        assert world.app.meta.app_hash == settled
    world.app.close()


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Q is fixed, dealer 2 cheated, dealer 5 is silent past its deadline."""
    world = start(tmp_path_factory.mktemp("wronged") / "app")
    sid = world.open_sid()
    real_deals(world, sid, evil=(CHEAT,))
    world.acks(sid, 31, [1, 3, 4, 5])
    world.opens(sid, 0b01111, [1, 3])
    for step in (100, 100, 3_000):
        world.block(step_ms=step)
    yield world
    world.app.close()


NUMBERS = st.one_of(st.integers(0, 7), st.integers(0, 2**32 - 1))
NOISE = st.one_of(st.binary(max_size=70), st.sampled_from([bytes(size) for size in (31, 32, 33, 64, 160)]))


@st.composite
def messages(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """(kind, what to change of a right message)."""
    kind = draw(st.sampled_from(("complain", "fallback_list", "fallback_scalar")))
    fields: dict[str, st.SearchStrategy[Any]] = {"sid": NOISE, "dealer": NUMBERS}
    if kind == "complain":
        fields |= dict.fromkeys(("shared", "dleq", "ciphertext", "deal_hash"), NOISE)
        fields["leaves"] = st.lists(NOISE, max_size=7)
    else:
        fields |= {"list_hash": NOISE} if kind == "fallback_list" else {"w": NOISE}
    names = draw(st.sets(st.sampled_from(sorted(fields)), max_size=2))
    return kind, {name: draw(fields[name]) for name in sorted(names)}


def sent(world: World, member: int, dealer: int, kind: str, changes: dict[str, Any]) -> bytes:
    sid = world.open_sid()
    if kind == "complain":
        evil = "garbage" if dealer == CHEAT else ""
        made = complaint(world, dealing_of(world, sid, dealer, evil), member, **changes)
        return world.tx(member, complain=made)
    if kind == "fallback_list":
        fields = {"sid": sid, "dealer": SILENT, "list_hash": bytes([member]) * 32, **changes}
        return world.tx(member, fallback_list=wire.FallbackList(**fields))
    return world.tx(
        member, fallback_scalar=wire.FallbackScalar(**{"sid": sid, "dealer": SILENT, "w": bytes(32), **changes})
    )


@settings(max_examples=60, deadline=None)
@given(script=st.lists(st.tuples(st.integers(1, 5), messages()), min_size=1, max_size=6))
def test_whatever_is_sent_the_honest_are_never_convicted(
    stage: World, script: list[tuple[int, tuple[str, dict[str, Any]]]]
) -> None:
    """Member 4 sends anything about anybody; the others send what honest ones would."""
    raws = []
    for dealer, (kind, changes) in script:
        raws.append(sent(stage, 4, dealer, kind, changes))
        honest = 1 + 2 * (dealer % 3)
        raws.append(sent(stage, honest, CHEAT, kind, {}))
    block = Block(stage.height + 1, stage.time_ms + 100)
    for raw in raws:
        stage.app.check_tx(raw)
    first = stage.app.finalize_block(raws, block)
    again = stage.app.finalize_block(raws, block)
    assert first.pending.meta == again.pending.meta
    convicts = first.pending.records.get(tables.convicts(1).key)
    if isinstance(convicts, r.Convicts):
        assert not {party for party in HONEST if convicts.all >> (party - 1) & 1}
        assert convicts.dealers in (0, 0b10)
        assert convicts.liars in (0, 0b1000)
    chosen = stage.app.prepare_proposal(raws, block, 1 << 20)
    assert all(outcome.code is None for outcome in stage.app.finalize_block(chosen, block).outcomes)
    stage.app.drop_uncommitted()


@settings(max_examples=40, deadline=None)
@given(
    name=st.sampled_from(("shared", "dleq", "ciphertext", "leaves")),
    dealer=st.sampled_from([1, 3, 5]),
    noise=st.binary(min_size=1, max_size=64),
)
def test_a_right_dealing_is_never_convicted_by_any_lie_of_the_right_length(
    stage: World, name: str, dealer: int, noise: bytes
) -> None:
    right = complaint(stage, dealing_of(stage, stage.open_sid(), dealer), 4)
    if name == "leaves":
        lie: Any = [(noise * 32)[:32], *right.leaves[1:]]
    else:
        value = getattr(right, name)
        lie = (noise * (len(value) // len(noise) + 1))[: len(value)]
    raw = stage.tx(4, complain=complaint(stage, dealing_of(stage, stage.open_sid(), dealer), 4, **{name: lie}))
    finalized = stage.app.finalize_block([raw], Block(stage.height + 1, stage.time_ms + 100))
    stage.app.drop_uncommitted()
    assert finalized.outcomes[0].code is None
    assert finalized.pending.records[tables.convicts(1).key] == r.Convicts(liars=0b1000)
