"""Who holds a hand-over up, as operators are told: read off the chain's views."""

from __future__ import annotations

from typing import Any, cast

import anyio
import pytest

from authnet_core.errors import AuthnetError, Code
from authnet_core.protocol.handover import eta_ms, holdups, matrix
from authnet_core.protocol.views import (
    ComplaintView,
    EncKeysView,
    EncKeyView,
    EpochView,
    HandoverView,
    ReadyNodeView,
    ReshareDealView,
    ResharesView,
    ReshareView,
)
from authnet_runtime.chain import ChainReader
from epoch_manager import handover as module
from epoch_manager.handover import HandoverWatch

DEAL = ReshareDealView(e="", pok="", root="", height=1)


def handover(phase: str, ready: tuple[int, ...] = ()) -> HandoverView:
    committee = EpochView(epoch=2, n=5, k=3, t=1, status="next", members=(), committee_hash="")
    return HandoverView(
        phase=phase,
        record_hash="",
        committee=committee,
        from_epoch=1,
        announced_height=1,
        announced_ms=0,
        notice_ends_ms=0,
        phase_height=1,
        phase_ms=0,
        ready_nodes=tuple(ReadyNodeView(index=m, height=1, app_hash="", service_key="") for m in ready),
        keys=100,
    )


def reshare(phase: str, **facts: object) -> ReshareView:
    fixed = {
        "rid": "aa",
        "from_epoch": 1,
        "to_epoch": 2,
        "curve": "secp256k1",
        "first_index": 0,
        "count": 10,
        "root": "",
        "source": "",
        "mask_index": 1,
        "mask_source": "",
        "attempt": 0,
        "counter": 0,
        "eks": (),
        "h0": 1,
        "t0_ms": 0,
        "deals": {},
    }
    return ReshareView(phase=phase, **(fixed | facts))  # type: ignore[arg-type]


def named(found: list[object]) -> list[str]:
    return [str(holdup) for holdup in found]


def test_a_new_node_that_is_not_ready_is_named() -> None:
    assert named([*holdups(handover("joining", (1, 2, 4, 5)), (), 5)]) == ["new node 3: no READY_NODE yet"]
    assert holdups(handover("announced"), (), 5) == []


def test_a_new_node_without_encryption_keys_is_named() -> None:
    """Its chain is up and says so; its keeper is not: nothing begins without both."""
    found = holdups(handover("joining", (1, 2, 3, 4)), (), 5, {1, 2, 5})
    assert named([*found]) == [
        f"new node {m}: no {what} yet" for m, what in ((5, "READY_NODE"), (3, "ENCKEY"), (4, "ENCKEY"))
    ]
    assert holdups(handover("switching", (1, 2, 3, 4, 5)), (), 5, {1, 2}) == []


def test_each_phase_waits_for_its_own_side() -> None:
    now = handover("resharing", (1, 2, 3, 4, 5))
    dealt = dict.fromkeys((1, 2, 3, 5), DEAL)
    assert named([*holdups(now, [reshare("deal", deals=dealt)], 5)]) == ["old node 4: no RDEAL yet"]
    tested = dict.fromkeys((1, 2, 3), ("00",))
    late = reshare("test", deals=dealt, dealers=(1, 2, 3, 5), tests=tested)
    assert named([*holdups(now, [late], 5)]) == ["old node 5: no RTEST yet"]
    acks = dict.fromkeys((1, 2, 3, 4), 7) | {5: 0b101}
    asked = reshare("ack", deals=dealt, dealers=(1, 2, 3), tests=tested, acks=acks)
    assert named([*holdups(now, [asked, asked], 5)]) == ["new node 5: no RACK yet"]
    done = reshare("ready", q=(1, 2, 3), readies={1: "", 2: "", 3: "", 5: ""})
    assert named([*holdups(now, [done], 5)]) == ["new node 4: no READY yet"]


def test_the_matrix_has_old_dealers_down_and_new_receivers_across() -> None:
    lie = ComplaintView(dealer=4, complainer=1, upheld=True, height=1)
    view = reshare(
        "ready",
        deals=dict.fromkeys((1, 2, 3, 4), DEAL),
        tests={1: ("",), 2: ("",), 4: ("",)},
        acks={1: 0b11, 2: 0b01},
        complaints=(lie,),
        q=(1,),
    )
    rows = ["".join(cell.mark for cell in row) for row in matrix(view, 5, 3)]
    assert rows == ["QQt", "att", "ddd", "XXX", "..."]


def test_a_dealer_with_a_wrong_constant_is_crossed_out_too() -> None:
    """No complaint shows it, only the polynomial on which the others agree."""
    view = reshare("ready", deals=dict.fromkeys((1, 2), DEAL), acks={1: 0b11}, q=(1,), blamed=(2,))
    assert ["".join(cell.mark for cell in row) for row in matrix(view, 2, 1)] == ["Q", "X"]


def test_the_time_left_follows_the_pace() -> None:
    now = handover("resharing")
    assert eta_ms(now, [(0, 0), (10_000, 50)]) == 10_000
    assert eta_ms(now, [(0, 50), (10_000, 50)]) is None
    assert eta_ms(now, []) is None


class Chain:
    """Shows a hand-over, and counts what it is asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.is_away = False

    async def query(self, path: str, kind: type) -> Any:
        self.asked.append(path)
        if self.is_away:
            raise AuthnetError(Code.UNAVAILABLE, "away")
        if kind is HandoverView:
            return handover("resharing", (1, 2, 3, 4, 5))
        return ResharesView(open=(reshare("ready", q=(1,), readies={1: ""}),)) if kind is ResharesView else None


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_the_whole_picture_is_drawn_only_when_somebody_asks(
    anyio_backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOOK_S", 0.001)
    chain = Chain()
    watch = HandoverWatch(chain)  # type: ignore[arg-type]
    async with anyio.create_task_group() as group:
        group.start_soon(watch.run)
        while len(chain.asked) < 3:  # noqa: ASYNC110 - what it polls is the thing tested
            await anyio.sleep(0.001)
        assert set(chain.asked) == {"/handover"}
        seen = await watch.picture()
        group.cancel_scope.cancel()
    assert seen is not None
    assert (seen["phase"], [held["index"] for held in seen["held_up_by"]]) == ("resharing", [2, 3, 4, 5])
    chain.is_away = True
    assert await watch.picture() == seen


class JoiningChain:
    """A joining committee in which one has posted no encryption key."""

    async def query(self, path: str, _: type) -> Any:
        members = tuple(EncKeyView(index=m, first=0, last=3 if m != 4 else -1) for m in range(1, 6))
        return {
            "/handover": handover("joining", (1, 2, 3, 4, 5)),
            "/enckeys/2": EncKeysView(next_counter=0, members=members),
            "/epoch/1": None,
            "/reshares": None,
        }[path]


@pytest.mark.anyio
async def test_the_epoch_manager_s_status_names_them_too() -> None:
    seen = await HandoverWatch(cast(ChainReader, JoiningChain())).look()
    assert seen is not None
    assert seen["held_up_by"] == [{"side": "new", "index": 4, "what": "ENCKEY"}]
