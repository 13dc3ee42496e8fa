"""What must hold after any schedule (docs/protocol/dkg.md). Each assertion names the seed that replays it."""

from itertools import combinations

from authnet_core.crypto.secp256k1 import pub
from authnet_core.crypto.shamir import interpolate_at_zero
from authnet_core.protocol.dkg import records
from authnet_core.protocol.dkg.effects import Outcome, Shelf
from authnet_core.protocol.dkg.keys import leaves_of
from tests.sim.secrecy import check_secrecy
from tests.sim.truth import Truth
from tests.sim.world import World


def check_all(world: World) -> None:
    """Every invariant of a schedule; beyond t faulty nodes, those that need no honest quorum."""
    truth = Truth(world)
    check_blame(world, truth)
    check_deals(world)
    check_secrecy(world, truth)
    check_erased(world)
    if world.plan.is_within_t:
        check_q(world, truth)
        check_held(world)
        check_keys(world, truth)


def check_blame(world: World, truth: Truth) -> None:
    """The honest are never blamed, neither locally nor on chain; who is convicted by the chain is guilty."""
    for node in world.honest:
        wrong = [blame for blame in node.blamed if blame.party not in world.liars]
        assert not wrong, f"an honest party was blamed: {wrong}, seed {world.seed}"
    for (dealer, complainer), verdict in world.chain.complaints.items():
        convict = dealer if verdict.upheld else complainer
        assert convict in world.liars, f"chain convicted honest {convict}, seed {world.seed}"
        if verdict.upheld:
            made = world.chain.evidence[dealer, complainer]
            plaintext = truth.decrypt(truth.deal(dealer), dealer, complainer, made.ciphertext)
            guilty = not truth.passes(dealer, complainer, plaintext)
            assert guilty, f"{dealer} was convicted without an offence, seed {world.seed}"


def check_q(world: World, truth: Truth) -> None:
    """Who is in Q has k honest receivers that agree on its polynomials, and an E and a key text of its own."""
    deals = world.chain.deals
    assert len({deal.e for deal, _ in deals.values()}) == len(deals), f"one E twice, seed {world.seed}"
    out = {dealer for (dealer, _), verdict in world.chain.complaints.items() if verdict.upheld}
    late = {c.dealer for c in world.chain.complaints.values() if c.upheld and c.height > world.chain.q_height}
    assert not (out - late) & set(world.chain.q), f"a convicted dealer is in Q, seed {world.seed}"
    assert not set(world.plan.left_out) & set(world.chain.q), f"a dealer left out is in Q, seed {world.seed}"
    for dealer in world.chain.q:
        good = truth.good_receivers(dealer)
        assert len(good) >= world.committee.k, f"dealer {dealer} convinced only {good}, seed {world.seed}"
        for receiver in good[world.committee.k :]:
            text = truth.good_plaintext(dealer, receiver) or b""
            own = [int.from_bytes(text[32 * b : 32 * b + 32], "big") for b in range(world.params.rows)]
            assert own == truth.shares(dealer, receiver), f"{dealer} is of no degree k-1, seed {world.seed}"


def check_held(world: World) -> None:
    """Up to t nodes faulty: the session is final, and every honest node with an encryption key holds it in the end."""
    assert world.chain.phase == "final", f"phase {world.chain.phase}, seed {world.seed}"
    total = world.params.keys_of(world.chain.q)
    assert len(world.chain.chunks) * 1024 >= total, f"KEYS missing, seed {world.seed}"
    assert len(world.chain.q) >= world.committee.quorum, f"Q = {world.chain.q}, seed {world.seed}"
    for node in world.honest:
        if node.index in world.plan.gone or not world.params.eks[node.index - 1]:
            continue
        assert node.outcome is Outcome.HELD, f"party {node.index}: {node.outcome}, seed {world.seed}"
        assert node.index in world.chain.holders, f"party {node.index} says not HAVE, seed {world.seed}"


def check_keys(world: World, truth: Truth) -> None:
    """Y, N, shares and nonces are what the dealings of Q fix, whoever fell silent since; k shares open, no k-1 do."""
    pairs = leaves_of(b"".join(world.chain.chunks[c] for c in sorted(world.chain.chunks)))
    assert len(pairs) == world.params.keys_of(world.chain.q), f"number of keys, seed {world.seed}"
    assert len({pair[:33] for pair in pairs}) == len(pairs), f"a key came twice, seed {world.seed}"
    expected = [pub(x) + pub(v) for x, v in zip(truth.key_shares(0), truth.nonces, strict=True)]
    assert pairs == expected, f"the keys are not those of the dealings, seed {world.seed}"
    held = {n.index: n.disk[records.SHARES] for n in world.honest if records.SHARES in n.disk}
    assert len(held) >= world.committee.k, f"too few hold, seed {world.seed}"
    for index, payload in held.items():
        parts = [records.share_at(payload, position) for position in range(len(pairs))]
        assert [int.from_bytes(p.share, "big") for p in parts] == truth.key_shares(index), f"seed {world.seed}"
        assert [int.from_bytes(p.nonce, "big") for p in parts] == truth.nonces, f"seed {world.seed}"
    check_threshold(world, pairs[-1], {j: records.share_at(p, len(pairs) - 1).share for j, p in held.items()})


def check_threshold(world: World, pair: bytes, shares: dict[int, bytes]) -> None:
    """For one key, all subsets: any k open Y, no k-1 do."""
    k, xs = world.committee.k, {j: int.from_bytes(share, "big") for j, share in shares.items()}
    secret = interpolate_at_zero({j: xs[j] for j in sorted(xs)[:k]})
    assert pub(secret) == pair[:33], f"k shares do not open Y, seed {world.seed}"
    for chosen in combinations(sorted(xs), k):
        assert interpolate_at_zero({j: xs[j] for j in chosen}) == secret, f"k-subset differs, seed {world.seed}"
    for chosen in combinations(sorted(xs), k - 1):
        assert interpolate_at_zero({j: xs[j] for j in chosen}) != secret, f"k-1 shares open Y, seed {world.seed}"


def check_deals(world: World) -> None:
    """One DEAL for a (sid, i), ever: also after a crash, at whatever Store; and it is well formed on chain."""
    for node in world.honest:
        assert len(node.deals_sent) <= 1, f"party {node.index} made two deals, seed {world.seed}"
    for dealer, (deal, _) in world.chain.deals.items():
        shape = [len(deal.e), len(deal.pok), len(deal.root), *map(len, deal.u)]
        assert shape == [33, 65, 32] + [32] * world.committee.k, f"DEAL of {dealer}: {shape}, seed {world.seed}"
        high = [c for c in deal.u if int.from_bytes(c, "big") >= 2**256 - 2**129]
        assert not high, f"DEAL of {dealer} is not canonical, seed {world.seed}"


def check_erased(world: World) -> None:
    """What is shredded is gone, and the shares stay."""
    for node in world.honest:
        left = set(node.shelf_of.values())
        assert not left & set(node.erased), f"party {node.index} kept erased records, seed {world.seed}"
        if node.outcome is Outcome.HELD:
            assert records.SHARES in node.disk, f"party {node.index} lost its shares, seed {world.seed}"
            assert Shelf.KEPT not in node.erased, f"party {node.index} erased its shares, seed {world.seed}"
        if world.chain.phase == "abandoned" and node.session is not None and node.outcome is Outcome.ABANDONED:
            assert not node.disk, f"party {node.index} kept {set(node.disk)}, seed {world.seed}"
