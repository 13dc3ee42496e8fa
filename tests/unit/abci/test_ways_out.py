"""State sync and a move to a new chain in the midst of a hand-over and after one: nothing of it is forgotten."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from abci_app.abci.application import Application, InitialState
from abci_app.rules.execution import Finalized
from abci_app.snapshots import export_file, survival
from abci_app.state import records as r
from abci_app.state import tables
from abci_app.state.state import Block
from authnet_core.crypto.ecdsa import sign
from authnet_core.crypto.secp256k1 import pub
from tests.unit.abci.handing_over import everything, hand_over, shelf_of
from tests.unit.abci.handover_world import NEW, phase
from tests.unit.abci.moving import export, genesis
from tests.unit.abci.reshare_world import SMALL, KeyedWorld, Move, batches_made, begin, opened
from tests.unit.abci.world import account, consensus_key, secret


def moving_world(folder: Path) -> KeyedWorld:
    """Two batches, three keys assigned, and the first resharing open."""
    world = KeyedWorld(folder, params=SMALL)
    batches_made(world)
    for number in range(3):
        assert world.send(world.assign(1, account(number))) == [None]
    begin(world)
    return world


def finish(world: KeyedWorld) -> None:
    """All batches move, and the next committee takes over."""
    for _ in range(60):
        if not phase(world):
            break
        for view in opened(world):
            move = Move(world, bytes.fromhex(view.rid))
            if move.phase == "deal":
                move.run()
        world.block(step_ms=2_000)
    assert world.query("/epoch/current").epoch == 2


def restored(world: KeyedWorld, folder: Path) -> Application:
    app = Application(folder)
    with shelf_of(world.app) as shelf:
        hand_over(shelf, app, world.app.meta.app_hash)
    assert everything(app) == everything(world.app)
    return app


def follow(world: KeyedWorld, app: Application) -> None:
    """From now on `app` gets every block of `world` and must agree with it."""
    ahead = world.block

    def block(*raws: bytes, step_ms: int = 100) -> Finalized:
        finalized = ahead(*raws, step_ms=step_ms)
        there = app.finalize_block(list(raws), Block(world.height, world.time_ms))
        app.commit()
        assert there.pending.meta.app_hash == finalized.pending.meta.app_hash
        assert there.validator_updates == finalized.validator_updates
        return finalized

    world.block = block  # type: ignore[method-assign]


def test_a_state_of_every_step_of_a_hand_over_goes_on_alike(tmp_path: Path) -> None:
    world = moving_world(tmp_path / "old")
    followers = [restored(world, tmp_path / "joining")]
    follow(world, followers[0])
    move = Move(world, bytes.fromhex(opened(world)[0].rid))
    for step in (move.deal, move.test, move.ack):
        step()
        followers.append(restored(world, tmp_path / f"at{world.height}"))
        follow(world, followers[-1])
    move.ready()
    finish(world)
    followers.append(restored(world, tmp_path / "after"))
    follow(world, followers[-1])
    for _ in range(30):
        world.block(step_ms=30_000)
    for app in followers:
        assert everything(app) == everything(world.app)
        app.close()
    world.app.close()


def sign_by(header: export_file.Header, nodes: tuple[int, ...]) -> export_file.Header:
    digest = header.statement
    names = {pub(secret("id", node)).hex(): sign(secret("id", node), digest).hex() for node in nodes}
    return msgspec.structs.replace(header, signatures=names)


def moved(world: KeyedWorld, folder: Path, nodes: tuple[int, ...]) -> Application:
    """A new chain with the first block made, signed by the first four of `nodes`, its committee."""
    folder.mkdir()
    made = export(world.app)
    header = sign_by(made.header, nodes[:4])
    export_file.write(folder / "export", header, made.chunks())
    made.close()
    plain = genesis(world, header)
    told = msgspec.structs.replace(plain.app_state, observers=tuple(pub(secret("id", node)).hex() for node in nodes))
    validators = r.ValidatorSet(tuple(sorted((consensus_key(node), 1) for node in nodes)))
    initial: InitialState = replace(plain, app_state=told, validators=validators)
    app = Application(folder / "abci", export=folder / "export")
    app.init_chain(initial)
    for later in (1, 2, 3):
        app.finalize_block([], Block(header.height + later, header.time_ms + later))
        app.commit()
    return app


def kept(app: Application, *prefixes: bytes) -> dict[bytes, bytes]:
    return {key: value for key, value in everything(app).items() if key[1:].startswith(prefixes)}


def in_force(world: KeyedWorld, app: Application, number: int) -> Any:
    """What both chains must say alike of accounts, keys and the committee in charge."""
    tree = tuple(tables.VALUES + name for name in (b"account/", b"key/"))
    before, after = everything(world.app), everything(app)
    same = {k: v for k, v in before.items() if k.startswith(tree) or k[:1] == tables.POOL_KEYS}
    assert same == {k: v for k, v in after.items() if k.startswith(tree) or k[:1] == tables.POOL_KEYS}
    batches = tables.value(tables.batch(number, 0).key[:-8])
    assert kept(app, batches[1:]) == kept(world.app, batches[1:]) != {}
    gone = {survival.table_of(key[1:]) for key in after if key[:1] == tables.VALUES} & survival.DROPPED
    assert gone <= {b"replay/", b"quota/"}
    current = app.store.get(tables.CURRENT_EPOCH)
    assert current == r.CurrentEpoch(number)


def test_a_hand_over_under_way_does_not_move_to_a_new_chain(tmp_path: Path) -> None:
    world = moving_world(tmp_path / "old")
    move = Move(world, bytes.fromhex(opened(world)[0].rid))
    move.run()
    app = moved(world, tmp_path / "new", (1, 2, 3, 4, 5))
    in_force(world, app, 1)
    assert app.store.get(tables.epoch(2)) is None
    assert kept(app, tables.batch(2, 0).key[:-8]) == {}
    app.close()
    world.app.close()


def test_a_new_chain_after_a_hand_over_has_the_next_committee(tmp_path: Path) -> None:
    world = moving_world(tmp_path / "old")
    finish(world)
    app = moved(world, tmp_path / "new", tuple(NEW))
    in_force(world, app, 2)
    former = app.store.get(tables.epoch(1))
    assert former is not None
    assert former.status == "retired"
    app.close()
    world.app.close()
