"""What must hold after any resharing, whoever lied. Each check raises AssertionError with its name first."""

from itertools import combinations, islice

from authnet_core.crypto.secp256k1 import pub
from authnet_core.crypto.shamir import interpolate_at_zero
from authnet_core.protocol.dkg.effects import Outcome
from authnet_core.protocol.reshare.messages import (
    Nonces,
    ReshareDeal,
    ReshareReady,
    ReshareRecovery,
    ReshareTest,
)
from tests.sim.reshare.dealers import CONVICTED, OFF_THE_LINE
from tests.sim.reshare.world import Node, World

SUBSETS = 12


def check_always(world: World) -> None:
    """After any attempt."""
    keys_stay(world)
    honest_are_never_blamed(world)
    one_deal_one_answer(world)
    secrets_go_to_whom_they_belong(world)


def check_success(world: World) -> None:
    """After the last attempt of a plan within the bounds."""
    completes(world)
    liars_are_named(world)


def honest_holders(world: World) -> dict[int, bytes]:
    """New member -> its rows, of honest nodes that say they hold the batch."""
    held = {}
    for node in world.nodes:
        if not node.is_liar and node.place.new and [d.outcome for d in node.done][-1:] == [Outcome.HELD]:
            held[node.place.new] = node.disk["shares"][1]
    return held


def shares_at(rows: dict[int, bytes], position: int) -> dict[int, int]:
    return {m: int.from_bytes(row[64 * position : 64 * position + 32], "big") for m, row in rows.items()}


def keys_stay(world: World) -> None:
    """Any k' new shares open each key, k'-1 do not, old and new shares do not combine; nonces arrive."""
    held, params, estate = honest_holders(world), world.estate.params, world.estate
    assert world.chain.phase in ("final", "failed"), f"completes: stuck in {world.chain.phase}"
    if world.chain.phase == "failed":
        assert not held, "keys stay: shares of a resharing that failed"
        return
    for position, secret in enumerate(estate.secrets):
        public = estate.keys.pairs[66 * position : 66 * position + 33]
        assert pub(secret) == public
        shares = shares_at(held, position)
        for chosen in islice(combinations(shares, params.new.k), SUBSETS):
            assert interpolate_at_zero({m: shares[m] for m in chosen}) == secret, f"keys stay: {chosen}"
        for chosen in islice(combinations(shares, params.new.k - 1), SUBSETS):
            assert interpolate_at_zero({m: shares[m] for m in chosen}) != secret, "k'-1 shares open a key"
        old = shares_at(estate.rows, position)
        for m in list(shares)[:3]:
            mixed = {j: old[j] for j in sorted(old) if j != m}
            mixed = {m: shares[m], **dict(islice(mixed.items(), params.old.k - 1))}
            assert interpolate_at_zero(mixed) != secret, "an old and a new share combine"
    for m, rows in held.items():
        nonces = b"".join(rows[at + 32 : at + 64] for at in range(0, len(rows), 64))
        assert nonces == estate.nonces, f"nonces of new member {m}"


def honest_are_never_blamed(world: World) -> None:
    old = {node.place.old for node in world.nodes if node.dealer}
    new = {node.place.new for node in world.nodes if node.receiver}
    assert world.chain.blamed_old <= old, f"honest blamed: old {world.chain.blamed_old - old}"
    assert world.chain.blamed_new <= new, f"honest blamed: new {world.chain.blamed_new - new}"
    both = {node.place.new for node in world.nodes if node.is_liar}
    for node, blame in world.blames:
        if not node.is_liar:
            named = old if blame.reason.startswith("old") else both
            assert blame.party in named, f"honest blamed: {blame}"


def one_deal_one_answer(world: World) -> None:
    """One RDEAL, one RTEST and one READY of an honest node, however often it crashed."""
    for kind in (ReshareDeal, ReshareTest, ReshareReady):
        said: dict[int, set[object]] = {}
        for node, message in world.submitted:
            if not node.is_liar and isinstance(message, kind):
                said.setdefault(id(node), set()).add(message)
        assert all(len(messages) == 1 for messages in said.values()), f"two of {kind.__name__}"


def secrets_go_to_whom_they_belong(world: World) -> None:
    """Nonces to new members only; D only to an upheld complainer, about a dealer that lied."""
    upheld = {(c.dealer, c.complainer) for c in world.chain.complaints if c.upheld}
    for node, to, message in world.sent:
        if node.is_liar:
            continue
        if isinstance(message, Nonces):
            assert to.new is not None, "nonces to somebody outside the new committee"
        if isinstance(message, ReshareRecovery):
            assert (message.dealer, to.new) in upheld, "D without an upheld complaint"


def completes(world: World) -> None:
    """Within the bounds it becomes final, and every honest new member with an encryption key holds its shares."""
    assert world.chain.phase == "final", f"completes: {world.chain.phase}"
    short = [n.place for n in world.nodes if not n.is_liar and n.place.new in world.estate.eks and not _holds(n)]
    assert not short, f"completes: {short} hold nothing"


def _holds(node: Node) -> bool:
    return bool(node.done) and node.done[0].outcome is Outcome.HELD


def liars_are_named(world: World) -> None:
    """In calm weather every lie that can be proven is."""
    if not world.plan.is_calm:
        return
    for j, strategy in world.plan.old_lies:
        if strategy in CONVICTED or strategy in OFF_THE_LINE:
            assert j in world.chain.blamed_old, f"liars are named: {strategy} of {j}"
    for m, strategy in world.plan.new_lies:
        if "complaint" in strategy:
            assert m in world.chain.blamed_new, f"liars are named: {strategy} of {m}"
