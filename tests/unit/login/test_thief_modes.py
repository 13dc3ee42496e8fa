"""The thief's kit: one-round tokens in two rounds and the reverse, and keepers that must not answer.

threats.md "Login", line by line, against the keeper's own handlers.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from authnet_core.errors import Code
from authnet_core.protocol.views import AudienceView
from tests.unit.login.chain import verifier
from tests.unit.login.world import Session, in_trio, refused, running


@in_trio
async def test_no_receipts_for_an_unbound_token(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        session = Session()
        keeper = world.keepers[0]
        await refused(Code.TOKEN_MODE, keeper.share(world.token(), temp_pub=session.pub.hex()))
        nonce = {"nonce": session.nonce()}
        await refused(Code.TOKEN_MODE, keeper.share(world.token(**nonce), temp_pub=session.pub.hex()))


@in_trio
async def test_bound_audience_in_two_rounds(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        session = Session()
        token = world.bound_token(session)
        receipts = await world.commit_all(token, session)
        await refused(Code.TOKEN_MODE, world.keepers[0].share(token, receipts))
        await refused(Code.TOKEN_MODE, world.keepers[0].share(token, receipts, temp_pub=session.pub.hex()))


@pytest.mark.parametrize(
    "changes", [{"nonce": None}, {"nonce": "x"}, {"nonce": 5}, {"nonce": Session(3).nonce("other")}]
)
@in_trio
async def test_bound_token_without_the_right_nonce(tmp_path: Path, changes: dict[str, Any]) -> None:
    async with running(tmp_path) as world:
        session = Session(3)
        token = world.bound_token(session, **changes)
        await refused(Code.TOKEN_UNBOUND, world.keepers[0].share(token, temp_pub=session.pub.hex()))


@in_trio
async def test_stolen_bound_token(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        owner, thief = Session(1), Session(2)
        token = world.bound_token(owner)
        await refused(Code.TOKEN_UNBOUND, world.keepers[0].share(token, temp_pub=thief.pub.hex()))


@in_trio
async def test_flow_started_by_a_thief_bound_to_his_key_for_the_two_round_client(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        thief = Session(2)
        token = world.token(nonce=thief.nonce())  # audience torus: two rounds, and only that
        await refused(Code.TOKEN_MODE, world.keepers[0].share(token, temp_pub=thief.pub.hex()))


@in_trio
async def test_record_that_gives_an_audience_both_modes_serves_neither(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        both = tuple(AudienceView(aud="torus", mode=mode) for mode in ("bound", "two-round"))
        world.chain.verifiers["google"] = verifier(audiences=both)
        keeper, session = world.keepers[0], Session()
        await keeper.service._facts.refresh()
        token = world.bound_token(session, aud="torus")
        await refused(Code.TOKEN_AUDIENCE, keeper.share(token, temp_pub=session.pub.hex()))


@in_trio
async def test_removed_verifier(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        world.chain.verifiers["google"] = verifier(removed=True)
        keeper, session = world.keepers[0], Session()
        await keeper.service._facts.refresh()
        token = world.bound_token(session)
        await refused(Code.VERIFIER_UNKNOWN, keeper.share(token, temp_pub=session.pub.hex()))
        await refused(Code.VERIFIER_UNKNOWN, keeper.commit(token, session))


@in_trio
async def test_keeper_whose_chain_lags(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        token, session = world.token(), Session()
        receipts = await world.commit_all(token, session)
        world.chain.lag_s = 31
        await refused(Code.CHAIN_STALE, world.keepers[0].share(token, receipts))
        await refused(Code.CHAIN_STALE, world.keepers[0].commit(world.token(jti=2), session))


@in_trio
async def test_keeper_that_can_not_read_its_chain_any_more(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        token, session = world.token(), Session()
        receipts = await world.commit_all(token, session)
        world.chain.down = True
        world.now += 31
        await refused(Code.CHAIN_STALE, world.keepers[0].share(token, receipts))
        await refused(Code.CHAIN_STALE, world.keepers[0].commit(world.token(jti=2), session))


@in_trio
async def test_keeper_whose_clock_is_behind_the_chain(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        token, session = world.token(), Session()
        receipts = await world.commit_all(token, session)
        world.chain.lag_s = -31
        await refused(Code.CHAIN_STALE, world.keepers[0].share(token, receipts))
        await refused(Code.CHAIN_STALE, world.keepers[0].commit(world.token(jti=2), session))


@in_trio
async def test_one_user_can_not_drain_the_pool_by_extensions(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        keeper, session = world.keepers[0], Session()
        token = world.bound_token(session)
        for number in range(10):
            await keeper.share(token, temp_pub=session.pub.hex(), extension=f"tag-{number}")
        call = keeper.share(token, temp_pub=session.pub.hex(), extension="tag-10")
        await refused(Code.RATE_LIMITED, call)
        await keeper.share(token, temp_pub=session.pub.hex(), extension="tag-3")
        assert len(world.chain.assigned) == 10


@in_trio
async def test_no_committee_no_login(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        world.chain.epoch = 0
        keeper, session = world.keepers[0], Session()
        await keeper.service._facts.refresh()
        await refused(Code.UNAVAILABLE, keeper.commit(world.token(), session))
        await refused(Code.UNAVAILABLE, keeper.share(world.bound_token(session), temp_pub=session.pub.hex()))
