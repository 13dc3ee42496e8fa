"""What must hold after any schedule (docs/protocol/dkg.md). Each assertion names the seed that replays it."""

from itertools import combinations

from authnet_core.crypto.secp256k1 import Q, pub
from authnet_core.crypto.shamir import interpolate_at_zero
from authnet_core.protocol.dkg import records, strings
from authnet_core.protocol.dkg.deal import make_dealing
from authnet_core.protocol.dkg.effects import Outcome, Shelf
from authnet_core.protocol.dkg.keys import leaves_of
from authnet_core.protocol.dkg.messages import Bundle, PointList
from tests.sim.evil import CHEATING, HOPELESS, victim_of
from tests.sim.world import NEVER, World


def check_all(world: World) -> None:
    """Every invariant of a schedule."""
    check_q(world)
    check_deals(world)
    check_secrecy(world)
    check_erased(world)
    for node in world.nodes.values():
        honest = [blame for blame in node.blamed if blame.party not in world.evil]
        assert not honest, f"an honest party was blamed: {honest}, seed {world.seed}"
    if world.chain.phase == "abandoned":
        check_abandoned(world)
    else:
        check_held(world)
        check_keys(world)


def gone_for_good(world: World) -> set[int]:
    return {f.party for f in world.faults if f.end_ms == NEVER}


def cheated(world: World) -> set[int]:
    """Parties whose own share of a dealer in Q is bad: short until late recovery or the next refresh."""
    liars = [i for i in world.chain.q if world.evil.get(i) in CHEATING]
    return {victim_of(world.params, i) for i in liars}


def check_abandoned(world: World) -> None:
    """Allowed only when a dealer of Q went for good with its list unopened; then all of it is erased everywhere."""
    gone = gone_for_good(world)
    openers = {i: sum(bits >> (i - 1) & 1 for bits in world.chain.opened.values()) for i in world.chain.q}
    silent = {i for i, count in openers.items() if count <= world.committee.t}
    assert silent, f"abandoned for no reason, seed {world.seed}"
    assert silent <= gone | world.evil.keys(), f"a live dealer's list was not opened, seed {world.seed}"
    for node in world.nodes.values():
        if node.index not in gone:
            assert node.outcome is Outcome.ABANDONED, f"party {node.index}: {node.outcome}, seed {world.seed}"
            assert not node.disk, f"party {node.index} kept {set(node.disk)}, seed {world.seed}"


def check_held(world: World) -> None:
    """Up to t nodes away: the session is final, and who has an encryption key and comes back holds it."""
    assert world.chain.phase == "final", f"phase {world.chain.phase}, seed {world.seed}"
    assert len(world.chain.chunks) * 1024 >= world.params.keys_of(world.chain.q), f"KEYS missing, seed {world.seed}"
    exempt = gone_for_good(world) | cheated(world)
    for node in world.nodes.values():
        if node.index not in exempt and node.ek is not None:
            assert node.outcome is Outcome.HELD, f"party {node.index}: {node.outcome}, seed {world.seed}"
            assert node.index in world.chain.holders, f"party {node.index} says not HAVE, seed {world.seed}"


def shares_of(world: World) -> dict[int, bytes]:
    return {j: node.disk[records.SHARES] for j, node in world.nodes.items() if records.SHARES in node.disk}


def check_keys(world: World) -> None:
    """Any k shares open Y, no k-1 do; all have the same nonce and it opens N; all keys are distinct."""
    pairs = leaves_of(b"".join(world.chain.chunks[c] for c in sorted(world.chain.chunks)))
    assert len(pairs) == world.params.keys_of(world.chain.q), f"number of keys, seed {world.seed}"
    assert len({pair[:33] for pair in pairs}) == len(pairs), f"a key came twice, seed {world.seed}"
    held, k = shares_of(world), world.committee.k
    assert len(held) >= world.committee.quorum, f"too few hold, seed {world.seed}"
    for position, pair in enumerate(pairs):
        parts = {j: records.share_at(payload, position) for j, payload in held.items()}
        assert len({part.nonce for part in parts.values()}) == 1, f"nonces differ, seed {world.seed}"
        assert pub(next(iter(parts.values())).nonce) == pair[33:], f"N is not nonce*G, seed {world.seed}"
        xs = {j: int.from_bytes(part.share, "big") for j, part in parts.items()}
        secret = interpolate_at_zero({j: xs[j] for j in sorted(xs)[:k]})
        assert pub(secret) == pair[:33], f"k shares do not open Y, seed {world.seed}"
        for chosen in combinations(sorted(xs), k):
            assert interpolate_at_zero({j: xs[j] for j in chosen}) == secret, f"k-subset differs, seed {world.seed}"
        for chosen in combinations(sorted(xs), k - 1):
            assert interpolate_at_zero({j: xs[j] for j in chosen}) != secret, f"k-1 shares open Y, seed {world.seed}"


def check_nonce_rule(world: World) -> None:
    """nonce = H("nonce", S, b, l) mod q, S over v_i of Q: recomputed from the seeds that the dealers stored."""
    rows, held = world.params.rows, shares_of(world)
    contributions = []
    for i in world.chain.q:
        stored = world.nodes[i].written[records.DEAL]
        contributions.append(make_dealing(world.params, i, stored[:32]).plaintexts[0][-32:])
    root = strings.dkg_hash("S", world.params.sid, *contributions)
    for position in range(world.params.keys_of(world.chain.q)):
        output, b = divmod(position, rows)
        expected = int.from_bytes(strings.dkg_hash("nonce", root, b, output), "big") % Q
        for payload in held.values():
            assert int.from_bytes(records.share_at(payload, position).nonce, "big") == expected


def check_q(world: World) -> None:
    """A sharing of wrong degree, or pure garbage, is certified by nobody honest."""
    hopeless = {i for i, strategy in world.evil.items() if strategy in HOPELESS}
    assert not hopeless & set(world.chain.q), f"bad dealers in Q: {hopeless}, seed {world.seed}"


def check_deals(world: World) -> None:
    """One DEAL for a (sid, i), ever: also after a crash, at whatever Store."""
    for node in world.nodes.values():
        assert len(node.deals_sent) <= 1, f"party {node.index} made two deals, seed {world.seed}"


def check_secrecy(world: World) -> None:
    """Only ciphertexts and opened lists travel; no list before Q is fixed and the next block is there."""
    for _, sender, _, message, height in world.sent(PointList):
        assert isinstance(message, PointList)
        fixed = 0 < world.chain.q_height < height
        assert fixed, f"list of {sender} revealed early, seed {world.seed}"
        assert message.dealer in world.chain.q, f"list of {sender}, not in Q, revealed, seed {world.seed}"
    for node in world.nodes.values():
        secrets = [node.disk[name] for name in node.disk if name.startswith("share/") or name == records.SHARES]
        scalars = {s[at : at + 32] for s in secrets for at in range(0, len(s), 32)}
        for _, _, _, message, _ in world.wire:
            parts = message.ciphertexts if isinstance(message, Bundle) else ()
            found = {part[at : at + 32] for part in parts for at in range(0, len(part), 32)}
            assert not found & scalars, f"a share of party {node.index} travelled in clear, seed {world.seed}"


def check_erased(world: World) -> None:
    """What is shredded is gone, and the shares stay."""
    for node in world.nodes.values():
        left = set(node.shelf_of.values())
        assert not left & set(node.erased), f"party {node.index} kept erased records, seed {world.seed}"
        if node.outcome is Outcome.HELD:
            assert records.SHARES in node.disk, f"party {node.index} lost its shares, seed {world.seed}"
            assert Shelf.KEPT not in node.erased, f"party {node.index} erased its shares, seed {world.seed}"
