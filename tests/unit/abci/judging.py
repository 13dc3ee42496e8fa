"""Real dealings, good and evil, on the one-process chain, and complaints about them."""

from __future__ import annotations

from typing import Any

from authnet_core.crypto import merkle
from authnet_core.errors import Code
from authnet_core.protocol.dkg.complaint import make_complaint
from authnet_core.protocol.dkg.deal import Dealing, make_dealing
from authnet_core.protocol.dkg.messages import Complain
from authnet_core.protocol.dkg.params import SessionParams
from authnet_core.protocol.dkg.picture import params_of
from authnet_core.wire import authnet_pb2 as wire
from tests.sim.evil import evil_dealing
from tests.unit.abci.world import CHAIN, World, secret

ALL = 31
EVIL = "garbage"


def session_params(world: World, sid: bytes) -> SessionParams:
    view = world.query(f"/session/{sid.hex()}")
    return params_of(CHAIN, world.committee, bytes.fromhex(world.query("/epoch/1").committee_hash), view)


def dealing_of(world: World, sid: bytes, dealer: int, evil: str = "") -> Dealing:
    params, seed = session_params(world, sid), secret("seed", dealer, sid)
    return evil_dealing(params, dealer, seed, evil) if evil else make_dealing(params, dealer, seed)


def wire_deal(dealing: Dealing) -> wire.Deal:
    deal = dealing.deal
    return wire.Deal(
        sid=deal.sid,
        e=deal.e,
        pok=deal.pok,
        root=deal.root,
        list_hash=deal.list_hash,
        nonce_hash=deal.nonce_hash,
        u=deal.u,
    )


def wire_complain(made: Complain, **changes: Any) -> wire.Complain:
    fields: dict[str, Any] = {
        "sid": made.sid,
        "dealer": made.dealer,
        "shared": made.shared,
        "dleq": made.dleq,
        "ciphertext": made.ciphertext,
        "leaves": made.leaves,
        "deal_hash": made.deal_hash,
    }
    return wire.Complain(**{**fields, **changes})


def real_deals(world: World, sid: bytes, evil: tuple[int, ...] = ()) -> dict[int, Dealing]:
    """All parties deal, those of `evil` garbage."""
    dealings = {i: dealing_of(world, sid, i, EVIL if i in evil else "") for i in range(1, world.n + 1)}
    codes = world.send(*(world.tx(i, deal=wire_deal(dealing)) for i, dealing in dealings.items()))
    assert set(codes) == {None}, codes
    return dealings


def complaint(world: World, dealing: Dealing, member: int, **changes: Any) -> wire.Complain:
    params = session_params(world, dealing.deal.sid)
    key = secret("ek", member, params.counter)
    return wire_complain(make_complaint(params, member, dealing.deal, dealing.bundle, key), **changes)


def complain(world: World, dealing: Dealing, member: int, **changes: Any) -> Code | None:
    """What the chain says to one COMPLAIN in a block of its own."""
    return world.send(world.tx(member, complain=complaint(world, dealing, member, **changes)))[0]


def judged(world: World, sid: bytes) -> list[tuple[int, int, bool]]:
    view = world.query(f"/session/{sid.hex()}")
    return [(c.dealer, c.complainer, c.upheld) for c in view.complaints]


def blamed(world: World) -> list[tuple[int, int]]:
    """(convict, accuser) of all convictions."""
    return [(view.convict, view.accuser) for view in world.query("/blame")]


def wronged(world: World) -> None:
    """A session, just started, that meets a cheat, a liar, the fallback and a short member, in as many blocks."""
    sid = world.open_sid()
    dealings = real_deals(world, sid, evil=(2,))
    assert complain(world, dealings[2], 3) is None
    assert complain(world, dealings[1], 4) is None
    assert complain(world, dealings[2], 4) == Code.CONVICTED
    world.acks(sid, ALL & ~2, [1, 3, 4, 5])
    world.opens(sid, 0b01101, [1, 3])
    for step in (100, 100, 3_000):
        world.block(step_ms=step)
    for member in (1, 3, 4, 5):
        message = wire.FallbackList(sid=sid, dealer=5, list_hash=bytes([member]) * 32)
        assert world.send(world.tx(member, fallback_list=message)) == [None]
    scalars = [wire.FallbackScalar(sid=sid, dealer=5, w=bytes(31) + bytes([member])) for member in (1, 3)]
    world.send(*(world.tx(member, fallback_scalar=w) for member, w in zip((1, 3), scalars, strict=True)))
    world.opens(sid, 0b10000, [3, 4])
    pairs = world.key_pairs(sid, world.query(f"/session/{sid.hex()}").count)
    world.finals(sid, merkle.root(pairs), [1, 3, 4, 5])
    assert complain(world, dealings[2], 5) is None
    world.send(world.tx(2, have=wire.Have(sid=sid)))
    assert complain(world, dealings[2], 1) == Code.WRONG_PHASE
    world.block()
