"""Strategies of noise: replays across session, epoch and index, floods, frames at and over each limit."""

from collections.abc import Callable
from dataclasses import replace

from authnet_core.protocol.dkg import deal as dealing
from authnet_core.protocol.dkg.effects import Send, Submit
from authnet_core.protocol.dkg.messages import (
    Bundle,
    ChainMessage,
    Message,
    Parts,
    PointList,
    Recovery,
    WantBundle,
    WantList,
    WantParts,
    WantRecovery,
)
from authnet_core.protocol.views import SessionView
from authnet_core.wire import peer_pb2 as pb
from p2p_dkg.network import frames
from tests.sim.liar import Act, Conduct, Liar, SendRaw, changed
from tests.sim.lies_copy import elsewhere

FLOOD = 40
"""Messages a view: more than a machine would need to serve."""
STOP_AFTER = 25
"""Views with noise; every session is longer than that only if something else holds it up."""


def _noise(make: Callable[[Liar, SessionView], list[Act]]) -> Callable[[Liar], Conduct]:
    """At every view of the chain, for a while; otherwise honest."""

    def strategy(liar: Liar) -> Conduct:
        def seen(view: SessionView) -> list[Act]:
            liar.once.add(("noise", view.height))
            return make(liar, view) if len(liar.once) <= STOP_AFTER else []

        return Conduct(seen=seen)

    return strategy


@_noise
def replays_messages(liar: Liar, _view: SessionView) -> list[Act]:
    """What it heard, as it was, under another dealer and under another session; to everyone."""
    acts: list[Act] = []
    for _, message in liar.rng.sample(liar.heard, min(3, len(liar.heard))):
        for other in (message, changed(message, dealer=liar.index), changed(message, sid=bytes(32))):
            acts += liar.to_all(other)
    return acts


@_noise
def replays_transactions(liar: Liar, _view: SessionView) -> list[Act]:
    """Others' transactions under its own signature, and its own again and again."""
    waiting = [message for _, message in liar.world.mempool]
    said: list[ChainMessage] = waiting + liar.world.said[-20:]
    return [Submit(message) for message in liar.rng.sample(said, min(5, len(said)))]


def _from_elsewhere(**changes: int) -> Callable[[Liar], Conduct]:
    """A good deal, bundle and list of another session or epoch, relabelled, beside the honest ones."""

    @_noise
    def replay(liar: Liar, _view: SessionView) -> list[Act]:
        if not liar.first("made"):
            return []
        sid = liar.params.sid
        made = dealing.make_dealing(elsewhere(liar.params, **changes), liar.index, liar.rng.randbytes(32))
        bulk: list[Act] = [*liar.to_all(replace(made.bundle, sid=sid)), *liar.to_all(replace(made.points, sid=sid))]
        return [Submit(replace(made.deal, sid=sid)), Submit(made.deal), *bulk, *liar.to_all(made.bundle)]

    return replay


replays_session = _from_elsewhere(counter=999)
replays_epoch = _from_elsewhere(epoch=7)


@_noise
def floods_wants(liar: Liar, _view: SessionView) -> list[Act]:
    """Asks everybody for everything, many times."""
    sid, rng = liar.params.sid, liar.rng
    parties = list(liar.params.parties)
    wants: list[Message] = [
        *(WantBundle(sid, rng.choice(parties)) for _ in range(FLOOD // 4)),
        *(WantList(sid, rng.choice(parties)) for _ in range(FLOOD // 4)),
        *(WantParts(sid, rng.choice(parties), rng.choice(parties)) for _ in range(FLOOD // 4)),
        *(WantRecovery(sid, rng.choice(parties)) for _ in range(FLOOD // 4)),
    ]
    return [Send(liar.rng.choice(liar.others()), want) for want in wants]


@_noise
def floods_bulk(liar: Liar, _view: SessionView) -> list[Act]:
    """Well-formed junk of every bulk kind, for its own and others' dealings."""
    params, rng = liar.params, liar.rng
    sid, dealer, holder = params.sid, rng.choice(list(params.parties)), rng.choice(list(params.parties))
    junk = rng.randbytes(params.plaintext_size)
    ciphertexts = tuple(junk if ek else b"" for ek in params.eks)
    leaves = tuple(map(dealing.leaf_of, ciphertexts))
    messages: list[Message] = [
        Bundle(sid, dealer, leaves, ciphertexts),
        PointList(sid, dealer, bytes(32), rng.randbytes(params.list_size)),
        Parts(sid, dealer, holder, rng.randbytes(64 * (params.rows + 1))),
        Recovery(sid, dealer, b"\x02" + rng.randbytes(32), rng.randbytes(64)),
    ]
    return [act for message in messages for act in liar.to_all(message)]


@_noise
def frames_at_limits(liar: Liar, _view: SessionView) -> list[Act]:
    """Frames of the largest size that is taken, and one byte more; fields of every wrong length; no frames."""
    if not liar.first("frames"):
        return []
    sid, dealer, n = liar.params.sid, liar.index, liar.params.committee.n
    empty = {"sid": sid, "dealer": dealer, "leaves": [bytes(32)] * n, "ciphertexts": [b""] * n}
    biggest, too_big = (_filled(pb.Bundle(**empty), more) for more in (0, 1))
    shapes = [
        pb.Frame(bundle=pb.Bundle(sid=sid, dealer=dealer, leaves=[bytes(32)] * 65, ciphertexts=[b""] * 65)),
        pb.Frame(bundle=pb.Bundle(sid=sid, dealer=dealer, leaves=[bytes(31)] * n, ciphertexts=[b""] * n)),
        pb.Frame(bundle=pb.Bundle(sid=sid[:-1], dealer=dealer)),
        pb.Frame(bundle=pb.Bundle(sid=sid, dealer=dealer, leaves=[bytes(32)] * n, ciphertexts=[b""] * (n - 1))),
        pb.Frame(point_list=pb.PointList(sid=sid, dealer=dealer, salt=bytes(32), points64=bytes(65))),
        pb.Frame(point_list=pb.PointList(sid=sid, dealer=dealer, salt=bytes(33), points64=bytes(64))),
        pb.Frame(point_list=pb.PointList(sid=sid, dealer=dealer, salt=bytes(32), points64=bytes(64 * 1026))),
        pb.Frame(parts=pb.Parts(sid=sid, dealer=dealer, holder=0, points64=bytes(64))),
        pb.Frame(parts=pb.Parts(sid=sid, dealer=dealer, holder=n + 1, points64=bytes(64 * (liar.params.rows + 1)))),
        pb.Frame(parts=pb.Parts(sid=sid, dealer=dealer, holder=1, points64=bytes(63))),
        pb.Frame(recovery=pb.Recovery(sid=sid, dealer=dealer, shared=bytes(33), dleq=bytes(63))),
        pb.Frame(recovery=pb.Recovery(sid=sid, dealer=dealer, shared=bytes(34), dleq=bytes(64))),
        pb.Frame(want_parts=pb.WantParts(sid=sid, dealer=dealer, holder=99)),
        pb.Frame(want_bundle=pb.Want(sid=sid, dealer=n + 1)),
        pb.Frame(want_list=pb.Want(sid=sid, dealer=65)),
        pb.Frame(want_recovery=pb.Want(sid=sid, dealer=0)),
        pb.Frame(),
    ]
    raws = [shape.SerializeToString() for shape in shapes]
    raws += [biggest, too_big, b"", b"\xff" * 9, raws[0][:-1], liar.rng.randbytes(200)]
    return [SendRaw(liar.rng.choice(liar.others()), raw) for raw in raws]


def _filled(bundle: pb.Bundle, more: int) -> bytes:
    """A frame of exactly MAX_FRAME bytes, or some more: one ciphertext fills it up."""
    bundle.ciphertexts[0] = bytes(frames.MAX_FRAME - 5_000)
    missing = frames.MAX_FRAME + more - len(pb.Frame(bundle=bundle).SerializeToString())
    bundle.ciphertexts[0] += bytes(missing)
    raw: bytes = pb.Frame(bundle=bundle).SerializeToString()
    return raw
