"""Strategies towards peers and the chain: silence from a step on, lists and bundles that lie, votes that lie."""

from collections.abc import Callable
from dataclasses import replace

from authnet_core.crypto.points import combine, multiply_generator, parse_points64, point64
from authnet_core.crypto.secp256k1 import Q, scalar_bytes
from authnet_core.protocol.dkg import deal as dealing
from authnet_core.protocol.dkg.effects import Send, Submit
from authnet_core.protocol.dkg.messages import (
    Ack,
    Bundle,
    Deal,
    FallbackList,
    FallbackScalar,
    Final,
    Have,
    Keys,
    Message,
    Opened,
    Parts,
    PointList,
    Recovery,
)
from authnet_core.protocol.dkg.picture import bit
from authnet_core.protocol.views import SessionView
from tests.sim.evil import flipped, replaced
from tests.sim.liar import Act, Conduct, Later, Liar, changed

STEPS: tuple[tuple[str, type], ...] = (
    ("deal", Deal),
    ("bundle", Bundle),
    ("ack", Ack),
    ("list", PointList),
    ("opened", Opened),
    ("fallback list", FallbackList),
    ("parts", Parts),
    ("fallback scalar", FallbackScalar),
    ("final", Final),
    ("have", Have),
    ("keys", Keys),
)
"""In the order in which a session comes to them."""
BULK = (Bundle, PointList, Parts, Recovery)


def content(act: Act) -> object:
    """The message in an act, if any."""
    return act.message if isinstance(act, Send | Submit) else None


def own_list(liar: Liar, act: Act) -> bool:
    message = content(act)
    return isinstance(message, PointList) and message.dealer == liar.index


def silent_from(step: str) -> Callable[[Liar], Conduct]:
    """Honest until it would send its first message of this step or a later one; then nothing at all. The steps of the
    fallback are reached by keeping the own list."""
    kinds = tuple(kind for _, kind in STEPS[[name for name, _ in STEPS].index(step) :])
    in_fallback = step in ("fallback list", "parts", "fallback scalar")

    def strategy(liar: Liar) -> Conduct:
        def out(act: Act) -> list[Act]:
            if in_fallback and own_list(liar, act):
                return []
            if isinstance(content(act), kinds):
                liar.once.add("silent")
            speaks = isinstance(act, Send | Submit)
            return [] if speaks and "silent" in liar.once else [act]

        return Conduct(out=out)

    return strategy


def on_send(change: Callable[[Liar, int, Message], Message | None]) -> Callable[[Liar], Conduct]:
    """Each message to a peer goes through `change`; None is nothing."""

    def strategy(liar: Liar) -> Conduct:
        def out(act: Act) -> list[Act]:
            if not isinstance(act, Send):
                return [act]
            message = change(liar, act.to, act.message)
            return [] if message is None else [Send(act.to, message)]

        return Conduct(out=out)

    return strategy


def on_submit(kind: type, change: Callable[[Liar, object], object]) -> Callable[[Liar], Conduct]:
    """Each transaction of a kind goes through `change`; None is nothing."""

    def strategy(liar: Liar) -> Conduct:
        def out(act: Act) -> list[Act]:
            if not isinstance(act, Submit) or not isinstance(act.message, kind):
                return [act]
            message = change(liar, act.message)
            return [] if message is None else [Submit(message)]  # type: ignore[arg-type]

        return Conduct(out=out)

    return strategy


def _is_own(liar: Liar, message: Message, kind: type) -> bool:
    return isinstance(message, kind) and message.dealer == liar.index


@on_send
def keeps_its_list(liar: Liar, _to: int, message: Message) -> Message | None:
    return None if _is_own(liar, message, PointList) else message


def late_list(liar: Liar) -> Conduct:
    """The own list comes seconds late: often when the fallback is under way."""

    def out(act: Act) -> list[Act]:
        return [Later(liar.rng.randint(3_000, 5_000), act)] if own_list(liar, act) else [act]

    return Conduct(out=out)


@on_send
def list_of_another_hash(liar: Liar, _to: int, message: Message) -> Message | None:
    if isinstance(message, PointList) and message.dealer == liar.index:
        return replace(message, salt=bytes(32))
    return message


@on_send
def list_fitted_to_gamma(liar: Liar, _to: int, message: Message) -> Message | None:
    """Other points that pass the test's sum, chosen when gamma is known: A_0 + X and A_{B+1} - gamma_0 X."""
    if not isinstance(message, PointList) or message.dealer != liar.index:
        return message
    dealt = liar.world.chain.deals[liar.index][0]
    gamma = dealing.gamma_weights(liar.params, liar.index, dealt.root)[:16]
    return replace(message, points64=fitted_points(message.points64, gamma, liar.params.rows + 1))


def fitted_points(points64: bytes, gamma: bytes, last: int) -> bytes:
    """X = 7 G moves the first point, and what that adds to the sum is taken off the last one."""
    points = parse_points64(points64)
    moved = int.from_bytes(gamma, "big") * 7 % Q
    points[0] = combine([points[0], multiply_generator(scalar_bytes(7))])
    points[last] = combine([points[last], multiply_generator(scalar_bytes(-moved))])
    return b"".join(point64(point) for point in points)


@on_send
def equivocates_list(liar: Liar, to: int, message: Message) -> Message | None:
    """Its list is good for odd parties only, and off the curve for even ones."""
    if isinstance(message, PointList) and message.dealer == liar.index and to % 2 == 0:
        return replace(message, points64=flipped(message.points64, 40))
    return message


def equivocates_bundle(liar: Liar) -> Conduct:
    """Two dealings; the second one's bundle goes to even parties."""
    other = dealing.make_dealing(liar.params, liar.index, liar.rng.randbytes(32))

    def change(_liar: Liar, to: int, message: Message) -> Message | None:
        return other.bundle if _is_own(liar, message, Bundle) and to % 2 == 0 else message

    return on_send(change)(liar)


def equivocates_deal(liar: Liar) -> Conduct:
    """Two DEALs in the mempool at once; a restarted honest node would look like this if its disk were lost."""
    other = dealing.make_dealing(liar.params, liar.index, liar.rng.randbytes(32))

    def out(act: Act) -> list[Act]:
        if isinstance(act, Submit) and isinstance(act.message, Deal):
            return [act, Submit(other.deal)]
        return [act]

    return Conduct(out=out)


@on_send
def nothing_for_victims(liar: Liar, to: int, message: Message) -> Message | None:
    return None if to in liar.victims() else message


@on_send
def bundle_for_few(liar: Liar, to: int, message: Message) -> Message | None:
    """Only k honest nodes get the bundle from the dealer."""
    few = [party for party in liar.others() if party not in liar.world.liars][: liar.params.committee.k]
    return None if _is_own(liar, message, Bundle) and to not in few else message


def late_bundle(liar: Liar) -> Conduct:
    def out(act: Act) -> list[Act]:
        if isinstance(act, Send) and _is_own(liar, act.message, Bundle):
            return [Later(liar.rng.randint(1_000, 4_000), act)]
        return [act]

    return Conduct(out=out)


@on_send
def spoils_relayed(liar: Liar, _to: int, message: Message) -> Message | None:
    """What it serves of others' has one bit changed."""
    return spoilt(message) if isinstance(message, BULK) and message.dealer != liar.index else message


def spoilt(message: Message) -> Message:
    """The message with one bit changed."""
    match message:
        case Bundle(ciphertexts=ciphertexts):
            at = next(number for number, ciphertext in enumerate(ciphertexts) if ciphertext)
            return replace(message, ciphertexts=replaced(ciphertexts, at + 1, flipped(ciphertexts[at], 5)))
        case PointList(points64=points64) | Parts(points64=points64):
            return changed(message, points64=flipped(points64, 40))
        case Recovery(dleq=proof):
            return replace(message, dleq=flipped(proof, 40))
    return message


@on_send
def serves_nothing(liar: Liar, _to: int, message: Message) -> Message | None:
    """Says on chain that it holds what others need, and serves nothing of theirs."""
    return None if isinstance(message, BULK) and message.dealer != liar.index else message


def acks_everything(liar: Liar) -> Conduct:
    """ACK of every deal at sight, untested and unstored."""

    def seen(view: SessionView) -> list[Act]:
        mask = sum(bit(i) for i in view.deals)
        new = mask & ~view.acks.get(liar.index, 0)
        return [Submit(Ack(liar.params.sid, mask))] if view.phase == "deal" and new else []

    return Conduct(seen=seen)


def opens_everything(liar: Liar) -> Conduct:
    """OPENED of all of Q at once, without a list, and the own list stays shut."""

    def out(act: Act) -> list[Act]:
        return [] if own_list(liar, act) else [act]

    def seen(view: SessionView) -> list[Act]:
        mask = sum(bit(i) for i in view.q)
        new = mask & ~view.opened.get(liar.index, 0)
        return [Submit(Opened(liar.params.sid, mask))] if view.phase == "certified" and new else []

    return Conduct(out=out, seen=seen)


def bits_of_nobody(liar: Liar) -> Conduct:
    """Bitmaps with bits beyond the committee or of no dealer."""

    def out(act: Act) -> list[Act]:
        message = content(act)
        if isinstance(message, Ack | Opened):
            return [Submit(replace(message, dealers=message.dealers | 1 << liar.params.committee.n)), act]
        return [act]

    return Conduct(out=out)


@lambda change: on_submit(Ack, change)
def acks_accomplices_only(liar: Liar, message: object) -> object:
    assert isinstance(message, Ack)
    mine = sum(bit(i) for i in liar.world.liars if i in liar.world.chain.deals)
    return replace(message, dealers=message.dealers & mine) if message.dealers & mine else None


withholds_opened = on_submit(Opened, lambda _liar, _message: None)
withholds_final = on_submit(Final, lambda _liar, _message: None)
withholds_keys = on_submit(Keys, lambda _liar, _message: None)


@lambda change: on_submit(Final, change)
def wrong_final(liar: Liar, message: object) -> object:
    """Accomplices sign the same wrong root."""
    assert isinstance(message, Final)
    return replace(message, root=bytes(31) + b"\x07")


def early_votes(liar: Liar) -> Conduct:
    """FINAL, HAVE and KEYS before their time, of nothing."""

    def seen(view: SessionView) -> list[Act]:
        sid = liar.params.sid
        if not liar.first(("early", view.phase)):
            return []
        votes = (Final(sid, bytes(32)), Have(sid), Keys(sid, 0, bytes(66), ()), Keys(sid, 9, b"", ()))
        return [Submit(vote) for vote in votes]

    return Conduct(seen=seen)


def early_list(liar: Liar) -> Conduct:
    """Shows its own list before Q is fixed."""

    def seen(view: SessionView) -> list[Act]:
        session = liar.world.nodes[liar.index].session
        if view.phase == "deal" and session and session._state.dealing and liar.first("early list"):
            return liar.to_all(session._state.dealing.points)
        return []

    return Conduct(seen=seen)
