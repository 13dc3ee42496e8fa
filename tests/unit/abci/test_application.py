"""What each ABCI call sees, and that nothing is written but by Commit."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from abci_app.abci.application import Application, InitialState
from abci_app.faults import Faults
from abci_app.rules.genesis import parse
from abci_app.state.records import ValidatorSet
from abci_app.state.state import Block
from authnet_core.errors import AuthnetError, Code, ConfigError
from tests.unit.abci.world import CHAIN, START_MS, World, account, app_state_json, consensus_key


def test_finalize_writes_nothing(pooled: World) -> None:
    before = pooled.app.meta
    block = Block(pooled.height + 1, pooled.time_ms + 100)
    first = pooled.app.finalize_block([pooled.assign(1, account(1))], block)
    assert pooled.app.meta == before
    assert pooled.query("/pool").assigned == 0
    pooled.app.drop_uncommitted()
    with pytest.raises(RuntimeError, match="without FinalizeBlock"):
        pooled.app.commit()
    again = pooled.app.finalize_block([pooled.assign(1, account(1))], block)
    assert again.pending.meta == first.pending.meta


def test_a_dropped_round_leaves_no_trace(pooled: World) -> None:
    """The block that is finalized need not be the one processed or prepared."""
    block = Block(pooled.height + 1, pooled.time_ms + 100)
    pooled.app.prepare_proposal([pooled.assign(1, account(1))], block, 10_000)
    pooled.app.process_proposal([pooled.assign(2, account(2))])
    pooled.app.finalize_block([pooled.assign(3, account(3))], block)
    pooled.app.finalize_block([pooled.assign(4, account(4))], block)
    pooled.app.commit()
    assert pooled.query("/key/0").account_id == account(4).hex()
    assert pooled.query("/pool").assigned == 1


def test_a_commit_that_breaks_off_leaves_no_half_block(pooled: World) -> None:
    meta = pooled.app.meta
    block = Block(pooled.height + 1, pooled.time_ms + 100)
    finalized = pooled.app.finalize_block([pooled.assign(1, account(1))], block)
    finalized.pending.bulk[b"kbroken"] = "no bytes"  # type: ignore[assignment]
    with pytest.raises(TypeError):
        pooled.app.commit()
    pooled.reopen()
    assert pooled.app.meta == meta
    assert pooled.query("/key/0").free
    with pytest.raises(AuthnetError):
        pooled.query(f"/account/{account(1).hex()}")


def test_a_restart_goes_on_where_commit_left_it(pooled: World) -> None:
    pooled.send(pooled.assign(1, account(1)))
    meta = pooled.app.meta
    pooled.app.finalize_block([pooled.assign(1, account(2))], Block(pooled.height + 1, pooled.time_ms + 1))
    pooled.reopen()
    assert pooled.app.meta == meta
    assert pooled.send(pooled.assign(1, account(2))) == [None]


def test_restarts_do_not_change_hashes(tmp_path: Path) -> None:
    steady, shaky = World(tmp_path / "a"), World(tmp_path / "b")
    for world in (steady, shaky):
        world.fill_pool()
    for number in range(12):
        for world in (steady, shaky):
            world.send(world.assign(1 + number % 5, account(number)))
        shaky.reopen()
    assert steady.hashes == shaky.hashes
    steady.app.close()
    shaky.app.close()


def test_check_tx_sees_genesis_before_the_first_block(tmp_path: Path) -> None:
    world = World(tmp_path / "app")
    assert world.app.check_tx(b"junk").code == Code.DECODE
    assert world.app.check_tx(world.tx(99, epoch=0)).code == Code.DECODE
    from authnet_core.wire import authnet_pb2 as wire

    assert world.app.check_tx(world.tx(1, observe=wire.Observe(record=b""))).code == Code.MALFORMED
    world.app.close()


def test_nothing_is_answered_before_init_chain(tmp_path: Path) -> None:
    app = Application(tmp_path / "app")
    assert app.check_tx(b"junk").code == Code.UNAVAILABLE
    app.close()


def test_init_chain_again_until_the_first_commit(tmp_path: Path) -> None:
    world = World(tmp_path / "app")
    first = world.init()
    world.app.finalize_block([], Block(1, START_MS))
    world.reopen()
    assert world.app.meta.height == 0
    assert world.init() == first
    world.block()
    assert world.app.meta.app_hash == first, "an empty first block changes nothing"
    world.app.close()


PUBLIC = app_state_json(5, serve_delay_ms=30_999).replace(b'"dev":true', b'"dev":false')
VALIDATORS = ValidatorSet(tuple(sorted((consensus_key(j), 1) for j in range(1, 6))))


@pytest.mark.parametrize(
    ("chain_id", "raw", "validators", "says"),
    [
        ("other-1", app_state_json(5), VALIDATORS, "chain_id"),
        (CHAIN, b"", VALIDATORS, "app_state"),
        (CHAIN, b"{}", VALIDATORS, "app_state"),
        (CHAIN, app_state_json(5).replace(b'"02', b'"09'), VALIDATORS, "observers"),
        (CHAIN, app_state_json(5, nonsense=1), VALIDATORS, "params.nonsense"),
        (CHAIN, app_state_json(5, rows=-1), VALIDATORS, "params.rows"),
        (CHAIN, app_state_json(5, rows=0), VALIDATORS, "params.rows: must be 1 to 1024"),
        (CHAIN, app_state_json(5, first_rows=0), VALIDATORS, "params.first_rows"),
        (CHAIN, app_state_json(5, rows=1025), VALIDATORS, "params.rows"),
        (CHAIN, app_state_json(5, t_open_ms=2**53), VALIDATORS, "params.t_open_ms"),
        (CHAIN, app_state_json(5, sessions_in_flight=0), VALIDATORS, "params.sessions_in_flight"),
        (CHAIN, app_state_json(5, min_blocks=0), VALIDATORS, "params.min_blocks"),
        (CHAIN, app_state_json(5, reshares_in_flight=0), VALIDATORS, "params.reshares_in_flight"),
        (CHAIN, app_state_json(5, reshare_attempts=0), VALIDATORS, "params.reshare_attempts"),
        (CHAIN, app_state_json(5, handover_max_ms=0), VALIDATORS, "params.handover_max_ms"),
        (CHAIN, app_state_json(5, recent_sessions=0), VALIDATORS, "params.recent_sessions"),
        (CHAIN, app_state_json(5, reserve_percent=101), VALIDATORS, "params.reserve_percent"),
        (CHAIN, app_state_json(5, lookup_percent=101), VALIDATORS, "params.lookup_percent"),
        (CHAIN, app_state_json(5, quota=0), VALIDATORS, "params.quota"),
        (CHAIN, app_state_json(5, expiry_window=0), VALIDATORS, "params.expiry_window"),
        (CHAIN, app_state_json(5, max_block_txs=0), VALIDATORS, "params.max_block_txs"),
        (CHAIN, app_state_json(5, account_keys=0), VALIDATORS, "params.account_keys"),
        (CHAIN, app_state_json(5, block_complaints=0), VALIDATORS, "params.block_complaints"),
        (CHAIN, app_state_json(5, complaint_quota=0), VALIDATORS, "params.complaint_quota"),
        (CHAIN, app_state_json(5, allow_forkable=2), VALIDATORS, "params.allow_forkable"),
        (CHAIN, app_state_json(5, pool_low=5_000), VALIDATORS, "params.pool_low"),
        (CHAIN, app_state_json(5, t_q_ms=60_001), VALIDATORS, "params.t_q_ms"),
        (CHAIN, PUBLIC, VALIDATORS, "params.serve_delay_ms: must be 31000 or more"),
        (CHAIN, app_state_json(4), VALIDATORS, "5, but 4 observers"),
        (CHAIN, app_state_json(5), ValidatorSet(tuple((k, 2) for k, _ in VALIDATORS.members)), "power 1"),
        (CHAIN, app_state_json(5), ValidatorSet(((b"short", 1), *VALIDATORS.members[1:])), "ed25519"),
    ],
)
def test_a_genesis_that_can_not_work(
    tmp_path: Path, chain_id: str, raw: bytes, validators: ValidatorSet, says: str
) -> None:
    app = Application(tmp_path / "app")
    with pytest.raises(ConfigError, match=says):
        app.init_chain(InitialState(chain_id, START_MS, parse(raw), validators))
    app.close()


def test_fault_points_are_named() -> None:
    with pytest.raises(ValueError, match="unknown point"):
        Faults("nowhere")


def test_fault_points_are_for_development_chains(tmp_path: Path) -> None:
    """Not armed: the point is passed."""
    Faults("finalize_begin").reach("finalize_begin")


def test_same_blocks_same_hashes_under_any_hash_seed(tmp_path: Path) -> None:
    script = Path(__file__).with_name("replay_script.py")
    outputs = []
    for seed in ("1", "4242"):
        command = [sys.executable, str(script), str(tmp_path / seed)]
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(Path(__file__).parents[3])}
        outputs.append(subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout)
    assert outputs[0] == outputs[1]
    assert len(outputs[0].splitlines()) > 20


def test_proposals_drop_what_no_longer_applies(pooled: World) -> None:
    raws = [pooled.assign(member, account(1)) for member in (1, 2, 3)]
    other = pooled.assign(4, account(2))
    candidates = [raws[0], b"junk", raws[1], raws[0], other, raws[2]]
    chosen = pooled.app.prepare_proposal(candidates, Block(pooled.height + 1, pooled.time_ms + 1), 1 << 20)
    assert chosen == [raws[0], other]
    assert pooled.app.process_proposal(chosen)
    assert pooled.app.process_proposal(candidates[2:]), "an honest proposer's view may lag"
    assert not pooled.app.process_proposal(candidates)


def test_proposals_are_bounded(pooled: World) -> None:
    raws = [pooled.assign(1, account(number)) for number in range(10)]
    block = Block(pooled.height + 1, pooled.time_ms + 1)
    limit = sum(len(raw) + 6 for raw in raws[:4])
    chosen = pooled.app.prepare_proposal(raws, block, limit)
    assert chosen == raws[:4]
    assert sum(map(len, chosen)) <= limit
    assert pooled.app.prepare_proposal(raws, block, 0) == []


def test_a_block_takes_a_bounded_number(tmp_path: Path) -> None:
    world = World(tmp_path / "app", params={"max_block_txs": 3})
    world.fill_pool()
    raws = [world.assign(1, account(number)) for number in range(10)]
    assert len(world.app.prepare_proposal(raws, Block(world.height + 1, world.time_ms + 1), 1 << 20)) == 3
    world.app.close()


def test_a_block_of_anything_is_executed(pooled: World) -> None:
    """FinalizeBlock takes what more than a third of byzantine power could decide."""
    outcomes = pooled.block(b"", b"junk", pooled.assign(99, account(1)), pooled.assign(1, account(1))).outcomes
    assert [outcome.code for outcome in outcomes] == [Code.DECODE, Code.DECODE, Code.NOT_A_MEMBER, None]


def test_queries_of_old_heights_are_refused_by_name(pooled: World) -> None:
    for _ in range(10):
        pooled.send(pooled.assign(1, account(pooled.height)))
    with pytest.raises(AuthnetError) as refusal:
        pooled.query("/pool", 1)
    assert refusal.value.code == Code.HEIGHT_UNAVAILABLE
