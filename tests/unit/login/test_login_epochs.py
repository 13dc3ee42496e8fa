"""Logins while one committee takes over from another: each token has one committee, and who asks the wrong one hears
which is the right one (epochs.md "One committee per token")."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from authnet_core.errors import AuthnetError, Code
from authnet_core.protocol.receipts import parse
from tests.unit.login.chain import NETWORK
from tests.unit.login.world import Keeper, Session, World, in_trio, refused, running

OLD, NEW, MIXED = (1, 2, 3, 4, 5), (6, 7, 8, 9, 10), (4, 6, 1, 7, 8)
START_S = 60
"""From the switch to A_2."""


async def switch(world: World, members: tuple[int, ...] = NEW, **options: Any) -> float:
    """Epoch 2 becomes current; returns A_2 in seconds, a whole one."""
    starts_s = float(int(world.now) + START_S)
    world.chain.hand_over(members, starts_s, **options)
    await world.read_chain()
    return starts_s


async def go_to(world: World, second: float) -> None:
    await world.pass_time(second - world.now)


async def commits(world: World, numbers: Sequence[int], token: str, session: Session, **named: Any) -> list[Any]:
    return [await world.keeper(j).commit(token, session, **named) for j in numbers]


async def gives(keeper: Keeper, token: str) -> bool:
    """Whether a keeper gives a receipt now; if not, it says who does."""
    try:
        await keeper.commit(token, Session())
    except AuthnetError as refusal:
        return not (refusal.code == Code.EPOCH_MOVED and refusal.detail["epoch"] in (1, 2))
    return True


@in_trio
async def test_the_old_committee_serves_until_the_new_ones_time(tmp_path: Path) -> None:
    async with running(tmp_path, spare=5) as world:
        starts_s = await switch(world)
        await go_to(world, starts_s - 2)
        token, session = world.token(), Session()
        receipts = await commits(world, OLD, token, session)
        assert {parse(receipt["data"]).epoch for receipt in receipts} == {1}
        answers = [await world.keeper(j).share(token, receipts) for j in OLD]
        assert [(answer["epoch"], answer["node_index"]) for answer in answers] == [(1, j) for j in range(1, 6)]
        for j in NEW:
            refusal = await refused(Code.EPOCH_MOVED, world.keeper(j).commit(world.token(), session))
            assert refusal.detail["epoch"] == 1


@in_trio
async def test_the_new_committee_serves_from_its_time_on(tmp_path: Path) -> None:
    async with running(tmp_path, spare=5) as world:
        await go_to(world, await switch(world))
        token, session = world.token(), Session()
        receipts = await commits(world, NEW, token, session)
        assert [(r["epoch"], r["node_index"], parse(r["data"]).epoch) for r in receipts] == [
            (2, j, 2) for j in range(1, 6)
        ]
        answers = [await world.keeper(j).share(token, receipts) for j in NEW]
        assert [(answer["epoch"], answer["node_index"]) for answer in answers] == [(2, j) for j in range(1, 6)]
        assert answers[0]["service_pub"] == world.keeper(6).service_key(2).pub.hex()


@in_trio
async def test_however_many_hand_overs_came_to_nothing_the_old_committee_serves_its_time(tmp_path: Path) -> None:
    """The chain lists the last 16 ends only."""
    async with running(tmp_path, spare=5) as world:
        starts_s = await switch(world, called_off=16)
        await go_to(world, starts_s - 2)
        token, session = world.token(), Session()
        receipts = await commits(world, OLD, token, session)
        await go_to(world, starts_s + 30)
        assert {(await world.keeper(j).share(token, receipts))["epoch"] for j in OLD} == {1}


@in_trio
async def test_who_asks_the_old_committee_hears_of_the_new_one(tmp_path: Path) -> None:
    async with running(tmp_path, spare=5) as world:
        starts_s = await switch(world)
        await go_to(world, starts_s)
        token, session = world.token(), Session()
        for asked in (0, 1, 2):
            refusal = await refused(Code.EPOCH_MOVED, world.keeper(1).commit(token, session, epoch=asked))
            assert refusal.detail["epoch"] == 2
            assert (refusal.detail["k"], refusal.detail["t"]) == (3, 1)
            assert refusal.detail["serving_from_ms"] == int(starts_s * 1000)
            assert [m["endpoint"] for m in refusal.detail["members"]] == [f"https://node{j}" for j in NEW]
        receipts = await commits(world, NEW, token, session)
        for asked in (0, 1, 2):
            refusal = await refused(Code.EPOCH_MOVED, world.keeper(1).share(token, receipts, epoch=asked))
            assert refusal.detail["epoch"] == 2


@in_trio
async def test_a_login_begun_before_the_switch_ends_well(tmp_path: Path) -> None:
    async with running(tmp_path, spare=5) as world:
        starts_s = await switch(world)
        await go_to(world, starts_s - 2)
        token, session = world.token(), Session()
        receipts = await commits(world, OLD, token, session)
        await go_to(world, starts_s + 30)
        for asked in (0, 1):
            assert (await world.keeper(1).share(token, receipts, epoch=asked))["epoch"] == 1


@in_trio
async def test_a_node_in_both_committees_serves_both(tmp_path: Path) -> None:
    async with running(tmp_path, spare=5) as world:
        starts_s = await switch(world, MIXED)
        await go_to(world, starts_s - 2)
        early, session = world.token(), Session()
        old_receipts = await commits(world, OLD, early, session)
        await go_to(world, starts_s)
        late = world.token()
        new_receipts = await commits(world, MIXED, late, session)
        both = world.keeper(4)
        for token, receipts, epoch, index in ((early, old_receipts, 1, 4), (late, new_receipts, 2, 1)):
            answer = await both.share(token, receipts)
            assert (answer["epoch"], answer["node_index"]) == (epoch, index)
            assert answer["service_pub"] == both.service_key(epoch).pub.hex()
            x = int.from_bytes(session.open(answer["share"]), "big")
            assert x == (epoch - 1) * 1_000_000 + both.index * 10_000


@in_trio
async def test_a_receipt_of_a_committee_whose_time_it_is_not_is_refused_by_a_node_in_both(tmp_path: Path) -> None:
    async with running(tmp_path, spare=5) as world:
        starts_s = await switch(world, MIXED)
        both, session = world.keeper(4), Session()
        for second, serving, other in ((starts_s - 2, 1, 2), (starts_s, 2, 1)):
            await go_to(world, second)
            assert (await both.commit(world.token(), session, epoch=serving))["epoch"] == serving
            refusal = await refused(Code.EPOCH_MOVED, both.commit(world.token(), session, epoch=other))
            assert refusal.detail["epoch"] == serving


@in_trio
async def test_the_token_decides_whatever_epoch_is_named(tmp_path: Path) -> None:
    async with running(tmp_path, spare=5) as world:
        starts_s = await switch(world, MIXED)
        await go_to(world, starts_s - 2)
        early, session = world.token(), Session()
        receipts = await commits(world, OLD, early, session)
        await go_to(world, starts_s + 5)
        refusal = await refused(Code.EPOCH_MOVED, world.keeper(4).share(early, receipts, epoch=2))
        assert refusal.detail["epoch"] == 1
        refusal = await refused(Code.EPOCH_MOVED, world.keeper(4).share(world.token(), receipts, epoch=1))
        assert refusal.detail["epoch"] == 2


@in_trio
async def test_members_are_asked_for_receipts_of_the_tokens_committee(tmp_path: Path) -> None:
    async with running(tmp_path, spare=5) as world:
        starts_s = await switch(world, MIXED)
        await go_to(world, starts_s - 2)
        token, session = world.token(), Session()
        receipts = await commits(world, OLD, token, session)
        await go_to(world, starts_s + 5)
        answer = await world.keeper(4).share(token, [receipts[0], receipts[4]])
        assert answer["epoch"] == 1
        assert world.keeper(4).asked_epochs == [1]


@in_trio
async def test_a_receipt_that_is_asked_for_says_whose_it_is(tmp_path: Path) -> None:
    """The links give it to members of that committee only."""
    async with running(tmp_path, spare=5) as world:
        starts_s = await switch(world, MIXED)
        await go_to(world, starts_s - 2)
        token, session = world.token(), Session()
        signed = (await world.keeper(4).commit(token, session))["data"]
        await go_to(world, starts_s + 5)
        given = world.keeper(4).service.on_receipt_ask(bytes.fromhex(parse(signed).token_hash.hex()), session.pub)
        assert given is not None
        assert (given.data, given.epoch) == (signed, 1)


@in_trio
async def test_bound_tokens_go_to_the_serving_committee_unless_they_name_another(tmp_path: Path) -> None:
    async with running(tmp_path, spare=5) as world:
        starts_s = await switch(world, MIXED)
        session = Session()

        async def share(keeper: Keeper, epoch: int) -> tuple[int, int]:
            token = world.bound_token(session)
            answer = await keeper.share(token, temp_pub=session.pub.hex(), epoch=epoch)
            return answer["epoch"], answer["node_index"]

        both, old, new = world.keeper(4), world.keeper(2), world.keeper(6)
        assert await share(both, 0) == await share(both, 1) == (1, 4)
        assert await share(both, 2) == (2, 1)
        assert await share(new, 2) == (2, 2)
        await refused(Code.EPOCH_MOVED, share(new, 0))
        await go_to(world, starts_s)
        assert await share(both, 0) == await share(both, 2) == (2, 1)
        assert await share(both, 1) == (1, 4)
        assert await share(old, 1) == (1, 2)
        for keeper, epoch in ((old, 0), (old, 2), (new, 1), (both, 3)):
            await refused(Code.EPOCH_MOVED, share(keeper, epoch))


@in_trio
async def test_nobody_is_served_by_a_former_committee_after_its_grace(tmp_path: Path) -> None:
    async with running(tmp_path, spare=5) as world:
        starts_s = await switch(world, grace_s=100)
        await go_to(world, starts_s - 2)
        token, session = world.token(exp=int(world.now) + 500), Session()
        receipts = await commits(world, OLD, token, session)
        await go_to(world, starts_s + 99)
        keeper, bound = world.keeper(2), world.bound_token(session, exp=int(world.now) + 500)
        assert await keeper.share(token, receipts)
        assert await keeper.share(bound, temp_pub=session.pub.hex(), epoch=1)
        await go_to(world, starts_s + 100)
        await refused(Code.EPOCH_MOVED, keeper.share(token, receipts))
        await refused(Code.EPOCH_MOVED, keeper.share(bound, temp_pub=session.pub.hex(), epoch=1))


@in_trio
async def test_the_grace_ends_by_the_clock_that_is_ahead(tmp_path: Path) -> None:
    async with running(tmp_path, spare=5) as world:
        starts_s = await switch(world, grace_s=100)
        session, keeper = Session(), world.keeper(2)
        for lag_s in (20, -20):
            world.chain.lag_s = lag_s
            await go_to(world, starts_s + 100 + min(lag_s, 0))
            bound = world.bound_token(session, exp=int(world.now) + 500)
            await refused(Code.EPOCH_MOVED, keeper.share(bound, temp_pub=session.pub.hex(), epoch=1))


@pytest.mark.parametrize("lag_s", [0, 20, -20])
@in_trio
async def test_two_committees_never_give_receipts_at_once(tmp_path: Path, lag_s: float) -> None:
    """By this node's clock the new one begins, the old one ends by whichever of clock and chain is ahead."""
    async with running(tmp_path, spare=5) as world:
        starts_s = await switch(world)
        world.chain.lag_s = lag_s
        seen = set()
        for tenths in range(-300, 30, 5):
            await go_to(world, starts_s + tenths / 10)
            given = [j for j in (1, 6) if await gives(world.keeper(j), world.token(jti=str(tenths)))]
            assert len(given) <= 1
            seen.add(tuple(given))
            if tenths >= 0:
                assert given == [6]
            elif tenths >= -10 or (lag_s < 0 and tenths >= -210):
                assert given == []
            else:
                assert given == [1]
        assert seen == {(1,), (), (6,)}


@in_trio
async def test_a_node_that_just_joined_gives_receipts_from_the_first_moment(tmp_path: Path) -> None:
    """None of its committee's receipts can be missing from a log that is older than the committee's time."""
    async with running(tmp_path, spare=5) as world:
        starts_s = await switch(world)
        young, younger = world.keeper(6), world.keeper(7)
        young.continuous_since_ms = int((starts_s - 5) * 1000)
        younger.continuous_since_ms = int((starts_s + 1) * 1000)
        await go_to(world, starts_s + 2)
        assert await young.commit(world.token(), Session())
        await refused(Code.RECEIPT_LOG_YOUNG, younger.commit(world.token(), Session()))


@in_trio
async def test_a_keeper_whose_chain_lags_moves_nobody(tmp_path: Path) -> None:
    async with running(tmp_path, spare=5) as world:
        starts_s = await switch(world)
        await go_to(world, starts_s - 2)
        token, session = world.token(), Session()
        receipts = await commits(world, OLD, token, session)
        world.chain.lag_s = 31
        await world.read_chain()
        await refused(Code.CHAIN_STALE, world.keeper(1).commit(world.token(), session))
        await refused(Code.CHAIN_STALE, world.keeper(1).share(token, receipts))


@in_trio
async def test_three_committees_in_their_grace(tmp_path: Path) -> None:
    async with running(tmp_path, spare=5) as world:
        first_s = await switch(world, NEW)
        await go_to(world, first_s)
        token, session = world.token(), Session()
        receipts = await commits(world, NEW, token, session)
        second_s = await switch(world, MIXED)
        await go_to(world, second_s)
        assert (await world.keeper(9).share(token, receipts))["epoch"] == 2
        bound = world.bound_token(session)
        for j, epoch in ((2, 1), (9, 2), (8, 3)):
            assert (await world.keeper(j).share(bound, temp_pub=session.pub.hex(), epoch=epoch))["epoch"] == epoch
        assert (await world.keeper(4).share(bound, temp_pub=session.pub.hex()))["epoch"] == 3


@in_trio
async def test_receipts_and_session_tokens_name_their_epoch(tmp_path: Path) -> None:
    async with running(tmp_path, spare=5) as world:
        await go_to(world, await switch(world))
        token, session = world.token(), Session()
        receipts = await commits(world, NEW, token, session)
        answer = await world.keeper(8).share(token, receipts)
        text = session.open(answer["session_token"])
        assert b'"epoch":2' in text
        assert b'"node_index":3' in text
        assert parse(receipts[2]["data"]).network_id == NETWORK
