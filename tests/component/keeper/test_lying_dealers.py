"""Runners, keystores and the real state machine with a dealer that lies: complaints, the fallback, late recovery, and
power cuts in their midst. Every session still ends final, and every key opens."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import trio

from authnet_core.protocol.dkg.machine import Session
from authnet_core.protocol.dkg.messages import Bundle, Message, Parts, PointList, Recovery, WantRecovery
from authnet_core.protocol.dkg.params import SessionParams
from authnet_core.protocol.views import SessionView
from p2p_dkg.runner import room
from p2p_dkg.runner import sessions as sessions_module
from tests.component.keeper.test_sessions import check_keys, finals, run, sessions
from tests.component.keeper.world import World, until
from tests.sim.evil import evil_dealing, victim_of

LIAR = 4
VICTIM = 5
WITHIN_S = 240
pytestmark = pytest.mark.timeout(300)
"""Patience for a busy machine; a run on a quiet one takes two seconds."""
JUMP_MS = 5_000
"""More than T_Q and the opening deadline, less than T_max."""


def keep_time(world: World, *silent: int, ready: Callable[[], bool] = lambda: True) -> None:
    """Let block time stand, but for one jump when all that will ever come has come: first the acks, then the lists of
    all dealers but the silent ones, and `ready`. So a slow machine changes nothing."""
    jumped: set[tuple[str, str]] = set()

    def is_over(view: SessionView) -> bool:
        if view.phase == "deal":
            enough = len(view.deals) >= world.committee.quorum and view.height > view.h0 + 3
            return enough and all(count(view.acks, i) >= world.committee.quorum for i in view.deals)
        heard = (count(view.opened, i) > world.committee.t for i in view.q if i not in silent)
        return view.phase == "certified" and view.height > view.q_height + 3 and all(heard) and ready()

    async def blocks() -> None:
        while True:
            await trio.sleep(0.05)
            over = {(s.sid, s.phase) for s in sessions(world) if is_over(s)} - jumped
            jumped.update(over)
            world.chain.block(JUMP_MS if over else 1)

    world.chain.run = blocks  # type: ignore[method-assign]


def count(bitmaps: dict[int, int], dealer: int) -> int:
    return sum(bits >> (dealer - 1) & 1 for bits in bitmaps.values())


def lying(patch: pytest.MonkeyPatch, strategy: str, liars: tuple[int, ...] = (LIAR,)) -> None:
    """Let these members deal as `tests.sim.evil` says, and behave well otherwise."""

    def construct(params: SessionParams, me: int, ek: bytes | None, seed: bytes, durable: dict[str, bytes]) -> Session:
        machine = Session(params, me, ek, seed, durable)
        if me in liars and "deal" not in durable:
            machine._state.adopt(evil_dealing(params, me, seed, strategy))
        return machine

    patch.setattr(sessions_module, "Session", construct)


def keeping_list(*liars: int) -> Callable[[int, int, Message], bool]:
    return lambda sender, _to, message: isinstance(message, PointList) and sender == message.dealer in liars


def watched(world: World, drop: Callable[[int, int, Message], bool]) -> list[tuple[int, int, Message]]:
    """Set what the network drops; everything that travels is written down."""
    seen: list[tuple[int, int, Message]] = []

    def note(sender: int, to: int, message: Message) -> bool:
        seen.append((sender, to, message))
        return drop(sender, to, message)

    world.hub.drop = note
    return seen


def start(world: World, nursery: trio.Nursery) -> None:
    for node in world.nodes.values():
        nursery.start_soon(node.run_again)


async def all_hold(world: World, sid: str) -> SessionView:
    """Wait until all members hold a session and its keys are on chain; its last view."""

    def is_held() -> bool:
        view = world.session(sid)
        return view is not None and len(view.holders) == world.committee.n and bool(view.chunks)

    await until(is_held, within=WITHIN_S)
    view = world.session(sid)
    assert view is not None
    return view


@pytest.mark.parametrize(("n", "liars"), [(5, (4,)), (9, (2, 7))])
def test_dealers_that_keep_their_lists_cost_time_and_no_keys(tmp_path: Path, n: int, liars: tuple[int, ...]) -> None:
    world = World(tmp_path, n)
    keep_time(world, *liars)
    seen = watched(world, keeping_list(*liars))

    async def check(nursery: trio.Nursery) -> None:
        start(world, nursery)
        await until(lambda: bool(finals(world)), within=WITHIN_S)
        view = finals(world)[0]
        assert set(liars) <= set(view.q)
        assert set(view.fallbacks) == set(liars)
        assert all(f.seed and len(f.scalars) >= world.committee.quorum for f in view.fallbacks.values())
        await all_hold(world, view.sid)
        check_keys(world, list(range(1, n + 1)))
        assert {m.dealer for _, _, m in seen if isinstance(m, Parts)} == set(liars)
        assert not [m for _, _, m in seen if isinstance(m, Recovery)], "nobody was convicted"
        assert not view.complaints

    run(world, check)


@pytest.mark.parametrize(
    "point",
    [
        "store:parts",
        "store:spare",
        *(f"submit:{kind}:{when}" for kind in ("fallback_list", "fallback_scalar") for when in ("before", "after")),
    ],
)
def test_a_power_cut_in_the_midst_of_a_fallback_changes_nothing(tmp_path: Path, point: str) -> None:
    world = World(tmp_path)
    keep_time(world, LIAR)
    watched(world, keeping_list(LIAR))
    victim = world.nodes[2]
    victim.faults.point = point

    async def check(nursery: trio.Nursery) -> None:
        start(world, nursery)
        await until(lambda: victim.deaths == [point] and bool(finals(world)), within=WITHIN_S)
        first = sessions(world)[0]
        assert first.phase == "final", "the session that was interrupted is the one that became final"
        await all_hold(world, first.sid)
        check_keys(world, [1, 2, 3])

    run(world, check)


def test_a_wrong_list_is_replaced_by_the_fallback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lying(monkeypatch, "wrong list")
    world = World(tmp_path)
    keep_time(world, LIAR)

    async def check(nursery: trio.Nursery) -> None:
        start(world, nursery)
        await until(lambda: bool(finals(world)), within=WITHIN_S)
        view = finals(world)[0]
        assert LIAR in view.q
        assert set(view.fallbacks) == {LIAR}
        check_keys(world, [1, 2, 3, 5])

    run(world, check)


@pytest.mark.parametrize("strategy", ["one bad share", "wrong v", "share not canonical"])
def test_a_cheated_member_convicts_the_dealer_before_q(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, strategy: str
) -> None:
    lying(monkeypatch, strategy)
    world = World(tmp_path)
    keep_time(world)

    def certified_by_nobody_yet(_sender: int, to: int, message: Message) -> bool:
        view = world.session(message.sid.hex())
        is_hidden = isinstance(message, Bundle) and to == 3 and message.dealer == LIAR
        return is_hidden and not (view is not None and view.complaints)

    seen = watched(world, certified_by_nobody_yet)

    async def check(nursery: trio.Nursery) -> None:
        start(world, nursery)
        await until(lambda: bool(finals(world)), within=WITHIN_S)
        view = finals(world)[0]
        assert LIAR not in view.q
        assert [(c.dealer, c.complainer, c.upheld) for c in view.complaints] == [(LIAR, VICTIM, True)]
        await all_hold(world, view.sid)
        check_keys(world, [1, 2, 3, 5])
        assert not [m for _, _, m in seen if isinstance(m, Recovery)]
        await until(lambda: len(finals(world)) > 1, within=WITHIN_S)
        assert all(LIAR in s.left_out for s in sessions(world)[1:]), "not again in this epoch"

    run(world, check)


def hiding_until_q(world: World) -> Callable[[int, int, Message], bool]:
    """The victim gets the liar's bundle only when Q is fixed."""

    def drop(_sender: int, to: int, message: Message) -> bool:
        view = world.session(message.sid.hex())
        is_hidden = isinstance(message, Bundle) and to == VICTIM and message.dealer == LIAR
        return is_hidden and (view is None or view.phase == "deal")

    return drop


@pytest.mark.parametrize("keeps_list", [False, True])
@pytest.mark.parametrize("n", [5, 9])
def test_a_member_that_is_cheated_after_q_gets_its_share_from_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, n: int, keeps_list: bool
) -> None:
    lying(monkeypatch, "one bad share")
    world = World(tmp_path, n)
    keep_time(world, *([LIAR] if keeps_list else []))
    late, kept = hiding_until_q(world), keeping_list(LIAR)
    seen = watched(world, lambda *m: late(*m) or (keeps_list and kept(*m)))

    async def check(nursery: trio.Nursery) -> None:
        start(world, nursery)
        await until(lambda: bool(finals(world)), within=WITHIN_S)
        first = sessions(world)[0]
        assert LIAR in first.q
        view = await all_hold(world, first.sid)
        assert [(c.dealer, c.complainer, c.upheld) for c in view.complaints] == [(LIAR, VICTIM, True)]
        assert set(view.fallbacks) == ({LIAR} if keeps_list else set())
        check_keys(world, list(range(1, n + 1)))
        check_keys(world, list(range(VICTIM - world.committee.k + 1, VICTIM + 1)))
        given = [(sender, to, m) for sender, to, m in seen if isinstance(m, Recovery)]
        assert given
        assert {(to, m.dealer) for _, to, m in given} == {(VICTIM, LIAR)}

    run(world, check)


CUTS = ["submit:complain:before", "submit:complain:after", "store:shares", "store:keys", "store:bundle/4"]


@pytest.mark.parametrize("point", CUTS)
def test_a_power_cut_in_the_midst_of_a_recovery_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    lying(monkeypatch, "one bad share")
    world = World(tmp_path)
    keep_time(world)
    watched(world, hiding_until_q(world))
    victim = world.nodes[VICTIM]
    victim.faults.point = point

    async def check(nursery: trio.Nursery) -> None:
        start(world, nursery)
        await until(lambda: victim.deaths == [point], within=WITHIN_S)
        first = sessions(world)[0]
        view = await all_hold(world, first.sid)
        assert view.phase == "final"
        assert LIAR in view.q
        assert [(c.dealer, c.complainer) for c in view.complaints] == [(LIAR, VICTIM)]
        check_keys(world, [2, 3, VICTIM])

    run(world, check)


@pytest.mark.parametrize("point", ["", "store:share/4", "store:parts/4/5", "store:spare/4", "store:shares"])
def test_a_liar_that_falls_silent_after_q_is_outlived(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    """Four are left, all of whom the fallback and FINAL need: recovery first, then the fallback, then the keys."""
    lying(monkeypatch, "one bad share")
    world = World(tmp_path)
    liar, victim = world.nodes[LIAR], world.nodes[VICTIM]
    gone = False
    keep_time(world, LIAR, ready=lambda: gone)
    late, kept = hiding_until_q(world), keeping_list(LIAR)
    watched(world, lambda *m: late(*m) or kept(*m))
    victim.faults.point = point

    async def check(nursery: trio.Nursery) -> None:
        nonlocal gone
        start(world, nursery)
        await until(lambda: bool(sessions(world)) and sessions(world)[0].phase != "deal", within=WITHIN_S)
        liar.scope.cancel()
        await until(lambda: LIAR not in world.hub.meshes, within=WITHIN_S)
        gone = True
        await until(lambda: bool(finals(world)) and bool(finals(world)[0].chunks), within=WITHIN_S)
        first = sessions(world)[0]
        assert first.phase == "final"
        assert LIAR in first.q
        assert [(c.dealer, c.complainer, c.upheld) for c in first.complaints] == [(LIAR, VICTIM, True)]
        assert set(first.fallbacks[LIAR].scalars) == {1, 2, 3, VICTIM}
        assert set(first.holders) == {1, 2, 3, VICTIM}
        assert victim.deaths == ([point] if point else [])
        check_keys(world, [1, 2, VICTIM])

    run(world, check)


def test_who_finds_out_after_final_that_it_was_cheated_recovers_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Away during the session, back when it is final and parked: complaint, recovery and HAVE come late."""
    lying(monkeypatch, "one bad share")
    monkeypatch.setattr(room, "PARK_S", 0.0)
    world = World(tmp_path, pool_low=50, pool_high=60)
    keep_time(world)
    absent = world.nodes[VICTIM]
    seen = watched(world, lambda *_: False)

    async def check(nursery: trio.Nursery) -> None:
        for index, node in world.nodes.items():
            if index != VICTIM:
                nursery.start_soon(node.run)
        nursery.start_soon(absent.run)
        await until(lambda: bool(sessions(world)), within=WITHIN_S)
        absent.scope.cancel()  # its keys are announced, and the others go on without it
        await until(lambda: len([s for s in finals(world) if LIAR in s.q and s.eks[VICTIM - 1]]) >= 1, within=WITHIN_S)
        missed = next(s for s in finals(world) if LIAR in s.q and s.eks[VICTIM - 1])
        assert VICTIM not in missed.holders
        nursery.start_soon(absent.run)
        await until(lambda: absent.holds(missed.sid), within=WITHIN_S)
        view = world.session(missed.sid)
        assert view is not None
        assert [(c.dealer, c.complainer, c.upheld) for c in view.complaints] == [(LIAR, VICTIM, True)]
        check_keys(world, [2, 3, VICTIM])
        assert {m.dealer for _, _, m in seen if isinstance(m, Recovery)} == {LIAR}

    run(world, check)


def test_nobody_gets_a_d_of_an_honest_dealer_by_asking(tmp_path: Path) -> None:
    world = World(tmp_path)
    seen = watched(world, lambda *_: False)

    async def check(nursery: trio.Nursery) -> None:
        start(world, nursery)
        await until(lambda: bool(sessions(world)))
        sid = bytes.fromhex(sessions(world)[0].sid)
        while not finals(world):
            for dealer in range(1, 6):
                world.nodes[LIAR].mesh.send_all(1, WantRecovery(sid, dealer))
            await trio.sleep(0.05)
        assert not [m for _, _, m in seen if isinstance(m, Recovery)]
        assert [m for _, _, m in seen if isinstance(m, WantRecovery)]

    run(world, check)


def test_the_next_party_is_the_victim(tmp_path: Path) -> None:
    """What the tests above rest on."""
    assert victim_of(type("P", (), {"committee": World(tmp_path).committee})(), LIAR) == VICTIM
