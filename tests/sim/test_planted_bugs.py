"""The test of the tests: each planted bug must be noticed by the sweep within a few schedules."""

from collections.abc import Callable

import pytest

from authnet_core.protocol.dkg import check, extract, keys, opening, stage_deal, stage_exchange, stage_keys
from authnet_core.protocol.dkg.batch import Batch
from authnet_core.protocol.dkg.effects import Effect, Shelf, Store
from authnet_core.protocol.dkg.params import SessionParams
from authnet_core.protocol.dkg.picture import Picture
from authnet_core.protocol.dkg.state import State
from tests.sim.sweep import run_one

Plant = Callable[[pytest.MonkeyPatch], None]


def lists_revealed_before_the_next_block(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Picture, "may_reveal", property(lambda self: bool(self.q)))


def deal_not_stored(patch: pytest.MonkeyPatch) -> None:
    original = stage_deal._deal_on_disk

    def forgetful(state: State) -> tuple[list[Effect], object]:
        effects, dealt = original(state)
        return [e for e in effects if not (isinstance(e, Store) and e.name == "deal")], dealt

    patch.setattr(stage_deal, "_deal_on_disk", forgetful)


def shares_not_tested(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(check, "refuse_plaintext", lambda *_: None)


def lists_not_tested(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(opening, "refuse_points", lambda *_: None)


def final_without_stores(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Batch, "stores", lambda self: [])


def too_many_keys(patch: pytest.MonkeyPatch) -> None:
    def outputs(params: SessionParams, q: tuple[int, ...]) -> int:
        return len(q) - params.committee.t

    patch.setattr(extract, "outputs", outputs)
    patch.setattr(keys, "outputs", outputs)


def ack_without_store(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(stage_exchange, "_bundle_stores", lambda *_: [])


def bundles_erased_before_all_hold(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(stage_keys, "_erase_when_all_hold", lambda state, _: state.erase(Shelf.BRIEF, Shelf.RETAINED))


def no_asking_again(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(stage_exchange, "fetch", lambda *_: [])


PLANTS: tuple[Plant, ...] = (
    lists_revealed_before_the_next_block,
    deal_not_stored,
    shares_not_tested,
    lists_not_tested,
    final_without_stores,
    too_many_keys,
    ack_without_store,
    bundles_erased_before_all_hold,
    no_asking_again,
)


def sweep(seeds: int) -> None:
    for seed in range(seeds):
        run_one(seed)


@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: plant.__name__)
def test_the_sweep_notices(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch)
    with pytest.raises(AssertionError):
        sweep(60)
