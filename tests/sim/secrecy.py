"""What must never leave an honest node, whoever is faulty up to k-1 nodes. Each assertion names its seed."""

from collections import Counter

from authnet_core.crypto.secp256k1 import Q
from authnet_core.protocol.dkg import records
from authnet_core.protocol.dkg.messages import (
    Bundle,
    ChainMessage,
    Complain,
    FallbackList,
    FallbackScalar,
    Message,
    Parts,
    PointList,
    Recovery,
)
from tests.sim.truth import Truth
from tests.sim.world import SIM_TIMING, World
from tests.unit.dkg import naive


def check_secrecy(world: World, truth: Truth) -> None:
    """Every rule of what may be said to whom and when."""
    check_masks(world)
    check_reveals(world)
    check_recovery(world, truth)
    check_shared_points(world, truth)
    check_plain_secrets(world)
    check_bounded(world)


def check_reveals(world: World) -> None:
    """Nothing reveals A before Q is fixed and the block after is there; afterwards only of dealers in Q."""
    kinds = PointList | Parts | Recovery
    revealing = [(sent.height, sent.message, sent.sender) for sent in world.wire if isinstance(sent.message, kinds)]
    submitted = [(h, m, who) for h, who, m in world.submitted if isinstance(m, FallbackList | FallbackScalar)]
    for height, message, sender in revealing + submitted:
        kind = type(message).__name__
        assert 0 < world.chain.q_height < height, f"{kind} of {sender} revealed early, seed {world.seed}"
        assert message.dealer in world.chain.q, f"{kind} of {sender}, not in Q, revealed, seed {world.seed}"
    for height, message, sender in submitted:
        if isinstance(message, FallbackScalar):
            fallback = world.chain.fallbacks.get(message.dealer)
            settled = fallback is not None and 0 < fallback.seed_height < height
            assert settled, f"party {sender} answers before the challenge stands, seed {world.seed}"


def check_recovery(world: World, truth: Truth) -> None:
    """R answers the upheld complainer only, for dealers of Q, a block after the verdict, for at most t dealers."""
    answered = set()
    for sent in world.wire:
        if isinstance(sent.message, Recovery):
            verdict = world.chain.complaints.get((sent.message.dealer, sent.to))
            upheld = verdict is not None and verdict.upheld and verdict.height < sent.height
            assert upheld, f"{sent.sender} gave {sent.to} a share of {sent.message.dealer}, seed {world.seed}"
            assert sent.message.dealer in world.liars, f"share of an honest dealer given, seed {world.seed}"
            answered.add(sent.message.dealer)
    assert len(answered) <= world.committee.t, f"recovery of more than t dealers, seed {world.seed}"
    for _, complainer, message in world.submitted:
        if isinstance(message, Complain):
            guilty = message.dealer in world.liars and truth.is_offence(message.dealer, complainer)
            assert guilty, f"honest {complainer} complained about {message.dealer}, seed {world.seed}"


def check_shared_points(world: World, truth: Truth) -> None:
    """No D_ij of an honest dealer and an honest receiver is ever said, under whatever label."""
    said = {m.shared for _, _, m in world.submitted if isinstance(m, Complain)}
    said |= {sent.message.shared for sent in world.wire if isinstance(sent.message, Recovery)}
    if said:
        assert not said & truth.shared_points(), f"a D of an honest dealer was said, seed {world.seed}"


def check_masks(world: World) -> None:
    """No mask row under two challenges: one w a dealer and node, ever, and it is the right one for the one seed."""
    rows = world.params.rows
    for node in world.honest:
        for dealer, scalars in node.scalars_sent.items():
            assert len(scalars) == 1, f"party {node.index} used a mask twice, seed {world.seed}"
            seed = world.chain.fallbacks[dealer].seed
            shares = node.written.get(records.share_name(dealer), b"")
            numbers = [int.from_bytes(shares[32 * b : 32 * b + 32], "big") for b in range(rows + 1)]
            stream = naive.expand(seed, 16 * rows)
            gamma = [int.from_bytes(stream[16 * b : 16 * b + 16], "big") for b in range(rows)]
            w = (sum(g * s for g, s in zip(gamma, numbers, strict=False)) + numbers[rows]) % Q
            right = w == int.from_bytes(next(iter(scalars)), "big")
            assert right, f"party {node.index} answers {dealer} wrongly, seed {world.seed}"


def _fields(message: Message | ChainMessage) -> list[bytes]:
    texts = []
    for name in message.__slots__:  # type: ignore[union-attr]
        value = getattr(message, name)
        texts += [value] if isinstance(value, bytes) else list(value) if isinstance(value, tuple) else []
    return texts


def check_plain_secrets(world: World) -> None:
    """No share that an honest dealer dealt, no key share, nonce, seed or key of an honest node goes out in clear."""
    secrets = {node.secret for node in world.honest}
    for node in world.honest:
        names = [records.SHARES, records.DEAL, *(records.share_name(i) for i in world.nodes if i not in world.liars)]
        for name in (name for name in names if name in node.written):
            text = node.written[name][:32] if name == records.DEAL else node.written[name]
            secrets |= {text[at : at + 32] for at in range(0, len(text), 32)}
    messages: list[Message | ChainMessage] = [sent.message for sent in world.wire]
    messages += [message for _, _, message in world.submitted]
    seen = {id(text): text for message in messages for text in _fields(message)}
    for text in seen.values():
        found = {text[at : at + 32] for at in range(0, len(text), 32)} & secrets
        assert not found, f"a secret travelled in clear, seed {world.seed}"


def check_bounded(world: World) -> None:
    """A peer gets the same bulk message once in `serve` ms from a life, whatever it asks: floods have no echo."""
    counts: Counter[tuple[int, int, type, int, int]] = Counter()
    for sent in world.wire:
        if isinstance(sent.message, Bundle | PointList | Parts | Recovery):
            holder = sent.message.holder if isinstance(sent.message, Parts) else 0
            counts[sent.sender, sent.to, type(sent.message), sent.message.dealer, holder] += 1
    allowed = 3 + world.now // SIM_TIMING.serve
    for (sender, to, kind, dealer, _), count in counts.items():
        lives = world.nodes[sender].life
        assert count <= allowed + lives, f"{sender} sent {to} {count} x {kind.__name__} of {dealer}, seed {world.seed}"
