"""A share that is out can not be taken back: it waits until the chain has settled whose key it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from authnet_core.errors import Code
from tests.unit.login.chain import BORN_MS
from tests.unit.login.world import Session, in_trio, refused, running


@in_trio
async def test_a_share_waits_for_the_block_after_the_assignment(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        session, keeper = Session(), world.keepers[0]
        temp_pub = session.pub.hex()
        await keeper.share(world.bound_token(session), temp_pub=temp_pub)
        assert world.chain.waited_for == [BORN_MS]
        token = world.bound_token(session, sub="new-user")
        await keeper.share(token, temp_pub=temp_pub, verifier_id="new-user")
        assert world.chain.waited_for[1] == int(world.now * 1000), "the time of the assignment just made"


@in_trio
async def test_no_share_leaves_on_a_chain_that_is_not_settled(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        session, token = Session(), world.token()
        receipts: list[Any] = await world.commit_all(token, session)
        world.chain.no_block_after = True
        for keeper in world.keepers:
            await refused(Code.CHAIN_STALE, keeper.share(token, receipts))
            bound = world.bound_token(session)
            await refused(Code.CHAIN_STALE, keeper.share(bound, temp_pub=session.pub.hex()))
        world.chain.no_block_after = False
        assert [(await keeper.share(token, receipts))["node_index"] for keeper in world.keepers] == [1, 2, 3, 4, 5]
