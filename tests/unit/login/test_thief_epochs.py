"""The thief's kit at a change of committees: a token that one committee has seen is not to be used at another one.

The thief has bad nodes in either committee: he sees every token that is shown there, and signs their receipts.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from authnet_core.crypto.hashing import keccak256
from authnet_core.crypto.secp256k1 import decompress
from authnet_core.errors import Code
from authnet_core.protocol.receipts import Receipt
from tests.unit.login.chain import NETWORK, Key, secret
from tests.unit.login.test_login_epochs import MIXED, NEW, OLD, commits, go_to, switch
from tests.unit.login.world import Session, in_trio, refused, running

VICTIM, THIEF = Session(1), Session(2)


def forged(token: str, number: int, index: int, epoch: int, now: float) -> dict[str, Any]:
    """What a bad node signs for the thief."""
    receipt = Receipt(
        token_hash=keccak256(token.encode()),
        temp_pub=decompress(THIEF.pub),
        verifier="google",
        time_s=int(now),
        network_id=NETWORK,
        epoch=epoch,
        node_index=index,
    )
    return {"data": receipt.text, "signature": Key(secret(number)).sign_recoverable(receipt.digest).hex()}


@in_trio
async def test_a_token_seen_by_a_bad_old_node_is_not_committed_anew(tmp_path: Path) -> None:
    """The new committee gives receipts for any hash, but releases nothing for a token of the old one's time."""
    async with running(tmp_path, spare=5) as world:
        starts_s = await switch(world)
        await go_to(world, starts_s - 2)
        token = world.token()
        receipts = await commits(world, OLD, token, VICTIM)
        assert await world.keeper(1).share(token, receipts)
        await go_to(world, starts_s)
        stolen = await commits(world, NEW, token, THIEF)
        for j in NEW:
            for asked in (0, 1, 2):
                refusal = await refused(Code.EPOCH_MOVED, world.keeper(j).share(token, stolen, epoch=asked))
                assert refusal.detail["epoch"] == 1
        await refused(Code.RECEIPTS_TOO_FEW, world.keeper(1).share(token, stolen))


@in_trio
async def test_nor_with_a_committee_that_shares_members(tmp_path: Path) -> None:
    async with running(tmp_path, spare=5) as world:
        starts_s = await switch(world, MIXED)
        await go_to(world, starts_s - 2)
        token = world.token()
        await commits(world, OLD, token, VICTIM)
        await go_to(world, starts_s)
        for j in (4, 1):  # in both: they remember the hash whatever the epoch
            await refused(Code.DUPLICATE_TOKEN, world.keeper(j).commit(token, THIEF))
        stolen = await commits(world, (6, 7, 8), token, THIEF)
        stolen += [forged(token, 4, 1, 2, world.now), forged(token, 1, 3, 2, world.now)]
        for j in MIXED:
            refusal = await refused(Code.EPOCH_MOVED, world.keeper(j).share(token, stolen, epoch=2))
            assert refusal.detail["epoch"] == 1
        for j in (4, 1):
            await refused(Code.RECEIPTS_TOO_FEW, world.keeper(j).share(token, stolen))


@in_trio
async def test_a_token_shown_to_the_wrong_new_committee_is_not_committed_at_the_old_one(tmp_path: Path) -> None:
    """Issued before the new committee's time, committed and shown after it began: the login fails, and the bad nodes
    that have seen the token get no receipts for it from the old committee any more."""
    async with running(tmp_path, spare=5) as world:
        starts_s = await switch(world)
        await go_to(world, starts_s - 1)
        token = world.token()
        await go_to(world, starts_s)
        receipts = await commits(world, NEW, token, VICTIM)
        await refused(Code.EPOCH_MOVED, world.keeper(6).share(token, receipts))
        for j in OLD:
            for asked in (0, 1, 2):
                await refused(Code.EPOCH_MOVED, world.keeper(j).commit(token, THIEF, epoch=asked))
        await refused(Code.RECEIPTS_TOO_FEW, world.keeper(2).share(token, [forged(token, 1, 1, 1, world.now)]))


@in_trio
async def test_nor_by_nodes_whose_chain_or_clock_is_behind(tmp_path: Path) -> None:
    async with running(tmp_path, spare=5) as world:
        starts_s = await switch(world)
        world.chain.lag_s = 25
        await go_to(world, starts_s)
        await refused(Code.EPOCH_MOVED, world.keeper(1).commit(world.token(), THIEF))
        world.chain.lag_s = -25
        await go_to(world, starts_s - 20)
        await refused(Code.EPOCH_MOVED, world.keeper(1).commit(world.token(), THIEF))


@in_trio
async def test_what_the_old_committee_binds_last_is_its_own(tmp_path: Path) -> None:
    """A provider's clock that is a little ahead dates a token into the new committee's time: were it bound at the old
    one and shown there, it would be refused, and a bad old node would commit it at the new one. So receipts stop a
    moment early."""
    async with running(tmp_path, spare=5) as world:
        starts_s = await switch(world)
        await go_to(world, starts_s - 0.9)
        token = world.token(iat=int(starts_s))
        for j in OLD:
            await refused(Code.EPOCH_MOVED, world.keeper(j).commit(token, VICTIM))


@in_trio
async def test_old_receipts_say_nothing_at_the_new_committee(tmp_path: Path) -> None:
    async with running(tmp_path, spare=5) as world:
        starts_s = await switch(world, MIXED)
        await go_to(world, starts_s - 2)
        token = world.token(iat=int(starts_s) + 1)  # post-dated
        receipts = await commits(world, OLD, token, VICTIM)
        await refused(Code.EPOCH_MOVED, world.keeper(2).share(token, receipts))
        await go_to(world, starts_s + 1)
        for j in MIXED:
            await refused(Code.RECEIPTS_TOO_FEW, world.keeper(j).share(token, receipts))


@in_trio
async def test_receipts_of_two_committees_do_not_add_up(tmp_path: Path) -> None:
    async with running(tmp_path, spare=5) as world:
        starts_s = await switch(world, MIXED)
        await go_to(world, starts_s)
        token = world.token()
        receipts = await commits(world, MIXED[:3], token, VICTIM)
        receipts += [forged(token, j, j, 1, world.now) for j in OLD]
        refusal = await refused(Code.RECEIPTS_TOO_FEW, world.keeper(8).share(token, receipts))
        assert refusal.detail == {"found": 3, "needed": 4}
