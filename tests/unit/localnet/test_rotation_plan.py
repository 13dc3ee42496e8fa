"""Which nodes make up the next committee of a localnet, where that is remembered, and when a node is done."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from authnet_core.errors import AuthnetError, Code
from localnet import rotation
from localnet.members import Members
from localnet.places import Places, load
from localnet.rotation import Rotations, Wish, draw_up

FIVE = (1, 2, 3, 4, 5)


@pytest.mark.parametrize(
    ("wish", "fresh", "stay"),
    [
        (Wish(), (6, 7, 8, 9, 10), ()),
        (Wish(overlap=3), (6, 7), (3, 4, 5)),
        (Wish(nodes=9), tuple(range(6, 15)), ()),
        (Wish(nodes=9, overlap=5), (6, 7, 8, 9), FIVE),
        (Wish(nodes=5, overlap=5), (), FIVE),
        (Wish(refresh=True), (), FIVE),
    ],
)
def test_indexes_go_on_counting(wish: Wish, fresh: tuple[int, ...], stay: tuple[int, ...]) -> None:
    plan = draw_up(wish, 2, FIVE, 5)
    assert (plan.fresh, plan.stay, plan.nodes) == (fresh, stay, (*fresh, *stay))


def test_a_later_rotation_counts_on_from_all_that_ever_were() -> None:
    assert draw_up(Wish(nodes=6, overlap=1), 4, (8, 3, 9, 5, 10), 12).nodes == (13, 14, 15, 16, 17, 10)


@pytest.mark.parametrize(
    "wish",
    [Wish(nodes=7), Wish(overlap=6), Wish(overlap=-1), Wish(nodes=5, overlap=9), Wish(refresh=True, overlap=1)],
)
def test_a_wish_that_can_not_be_is_refused(wish: Wish) -> None:
    with pytest.raises(AuthnetError) as caught:
        draw_up(wish, 2, FIVE, 5)
    assert caught.value.code is Code.BAD_PARAMS


def test_committees_and_retired_nodes_are_remembered(tmp_path: Path) -> None:
    places = Places(tmp_path, 5, 21_000, "local-1")
    places.committees[2] = (6, 7, 3, 4, 5)
    places.retired.update((1, 2))
    places.save()
    found = load(tmp_path)
    assert found == places
    assert found is not None
    assert (found.all_indexes, found.indexes) == ([1, 2, 3, 4, 5, 6, 7], [3, 4, 5, 6, 7])
    assert (found.committee(1), found.committee(2), found.committee(3)) == (FIVE, (6, 7, 3, 4, 5), ())
    assert 21_070 in found.all_ports()
    assert 21_010 not in found.all_ports()


class Fleet:
    """Members, all of them up until they are stopped."""

    def __init__(self) -> None:
        self.stopped: list[int] = []

    def state(self, index: int) -> str:
        return "killed" if index in self.stopped else "up"

    def stop(self, index: int) -> None:
        self.stopped.append(index)


def view(epoch: int, status: str, erased: tuple[int, ...] = ()) -> dict[str, Any]:
    return {"epoch": epoch, "status": status, "erased": erased}


def retiring(
    folder: Path, chain: dict[int, dict[str, Any]], committees: dict[int, tuple[int, ...]], monkeypatch: Any
) -> Rotations:
    places = Places(folder, 5, 21_000, "local-1", committees=committees)
    for inner in (places.run, places.logs):
        inner.mkdir(parents=True)
    monkeypatch.setattr(rotation, "ask_chain", lambda _, path: chain[int(path.rpartition("/")[2])])
    return Rotations(places, cast(Members, Fleet()), {})


def test_who_left_is_stopped_when_it_has_erased(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chain = {1: view(1, "retired", (1, 2, 5)), 2: view(2, "serving")}
    rotations = retiring(tmp_path, chain, {2: (6, 7, 3, 4, 5)}, monkeypatch)
    assert rotations.retire() == [1, 2], "5 has a part in epoch 2"
    assert rotations.retire() == []
    found = load(tmp_path)
    assert found is not None
    assert found.retired == {1, 2}


def test_who_is_kept_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chain = {1: view(1, "retired", FIVE), 2: view(2, "serving")}
    rotations = retiring(tmp_path, chain, {2: (6, 7, 8, 9, 10)}, monkeypatch)
    rotations.keeps.add(1)
    assert rotations.retire() == []


def test_who_came_for_an_epoch_that_was_called_off_is_stopped_after_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain = {1: view(1, "serving"), 2: view(2, "aborted")}
    rotations = retiring(tmp_path, chain, {2: (6, 7, 3, 4, 5)}, monkeypatch)
    assert rotations.retire() == []
    monkeypatch.setattr(rotation, "LINGER_S", -1.0)
    assert rotations.retire() == [6, 7]


def test_a_chain_that_does_not_answer_stops_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rotations = retiring(tmp_path, {}, {2: (6, 7, 8, 9, 10)}, monkeypatch)

    def silent(*_: object) -> Any:
        raise AuthnetError(Code.NETWORK_DOWN, "nobody")

    monkeypatch.setattr(rotation, "ask_chain", silent)
    assert rotations.retire() == []
