"""What the SDK returns, and how it says which nodes failed. Secrets never show in a repr."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from authnet_core.errors import AuthnetError, Code
from authnet_core.protocol.committee import Committee

UNANSWERED = "UNANSWERED"
_UNREACHED = frozenset({Code.NETWORK_DOWN, Code.TIMEOUT, Code.UNAVAILABLE})


@dataclass(frozen=True, slots=True)
class NodeReport:
    """How one node did in one call. `code` is empty when it was fine, UNANSWERED when nobody waited for it."""

    index: int
    ok: bool
    code: str
    ms: float
    message: str = ""


@dataclass(frozen=True, slots=True)
class Resolution:
    """An account's address, as k nodes said alike."""

    verifier: str
    id: str
    account_id: str
    key_index: int
    Y: str
    N: str
    final_pub: str
    address: str
    is_new: bool
    height: int
    agreed: tuple[int, ...]
    disagreed: tuple[int, ...]
    ms: float
    nodes: tuple[NodeReport, ...] = ()


@dataclass(frozen=True, slots=True)
class SessionToken:
    """One node's signed word that this login happened: bound to the session key, worthless without it."""

    index: int
    token: str
    """base64 text, which is what the signature covers."""
    signature: str
    expires_s: int


@dataclass(frozen=True, slots=True)
class LoginOutcome:
    """A login: the key that opens `address`, and who helped."""

    verifier: str
    id: str
    address: str
    Y: str
    N: str
    final_pub: str
    rounds: int
    nodes: tuple[NodeReport, ...]
    bad_nodes: tuple[int, ...]
    session_tokens: tuple[SessionToken, ...] = field(repr=False)
    ms: float
    private_key: str = field(repr=False)
    """The final key, 64 hex digits; empty for an upgraded account, whose key the nodes can not complete."""
    postbox_key: str = field(repr=False)
    """The part that the nodes share out: the final key is this plus the nonce."""
    session_key: str = field(repr=False)


class Reports:
    """Collects what each node of one call did."""

    def __init__(self, indexes: Iterable[int]) -> None:
        self._reports: dict[int, NodeReport] = {i: NodeReport(i, False, UNANSWERED, 0.0) for i in indexes}

    def ok(self, index: int, ms: float) -> None:
        self._reports[index] = NodeReport(index, True, "", round(ms, 1))

    def failed(self, index: int, error: AuthnetError, ms: float) -> None:
        self._reports[index] = NodeReport(index, False, error.code.value, round(ms, 1), error.message)

    def bad(self, index: int, message: str) -> None:
        """The node answered, and the answer was wrong."""
        ms = self._reports[index].ms
        self._reports[index] = NodeReport(index, False, Code.BAD_NODE_ANSWER.value, ms, message)

    def all(self) -> tuple[NodeReport, ...]:
        return tuple(self._reports[index] for index in sorted(self._reports))

    def bad_nodes(self) -> tuple[int, ...]:
        return tuple(r.index for r in self.all() if r.code == Code.BAD_NODE_ANSWER.value)

    def failure(self, purpose: str, need: int) -> AuthnetError:
        """The one error for a call that too few nodes answered well.

        The code is the nodes' own when they refuse alike: a bad token is not a network problem.
        """
        failures = [r for r in self.all() if not r.ok and r.code != UNANSWERED]
        good = sum(r.ok for r in self.all())
        nodes = [{"index": r.index, "code": r.code, "message": r.message} for r in failures]
        code, message = _prevailing(failures, need, len(self._reports))
        if not message:
            reasons = "; ".join(f"node {r.index}: {r.message or r.code}" for r in failures)
            message = f"{purpose} needs {need} nodes, {good} answered well: {reasons}"
        return AuthnetError(code, message, nodes=nodes)


def _prevailing(failures: list[NodeReport], need: int, n: int) -> tuple[Code, str]:
    """The code for all, and a sentence when the nodes' own says it best."""
    reached = [r for r in failures if r.code not in {code.value for code in _UNREACHED}]
    if len(failures) == n and not reached:
        return Code.NETWORK_DOWN, ""
    counts: Mapping[str, int] = Counter(r.code for r in reached)
    # k refusals alike can not all be lies while fewer than k nodes lie; fewer stop the call, but prove nothing.
    decisive = max(Committee.of(n).k, n - need + 1)
    for code, count in counts.items():
        if count >= decisive and code != Code.BAD_NODE_ANSWER.value:
            message = next(r.message for r in reached if r.code == code)
            return Code.__members__.get(code, Code.TOO_FEW_NODES), message
    if counts.get(Code.BAD_NODE_ANSWER.value):
        return Code.NODES_DISAGREE, ""
    return Code.TOO_FEW_NODES, ""
