"""One resharing of one batch as a machine without I/O: steps 2 to 9 of docs/protocol/resharing.md.

For a node of the old committee, of the new one, or of both. `on_chain` is level-triggered: it gets the chain's whole
record of the resharing and does what is missing. The same construction and the same inputs give the same effects.
After a crash: construct from what was stored, call on_chain, go on. One thread at a time.
"""

from collections.abc import Mapping

from authnet_core.crypto.secp256k1 import pub
from authnet_core.protocol.dkg.fetching import FETCH_TIMER, Fetcher
from authnet_core.protocol.dkg.state import STRIKES, Timing
from authnet_core.protocol.dkg.submissions import Submissions
from authnet_core.protocol.reshare import (
    records,
    stage_deal,
    stage_exchange,
    stage_receive,
    stage_recovery,
    stage_result,
)
from authnet_core.protocol.reshare.deal import ROW
from authnet_core.protocol.reshare.effects import ReshareEffect, Shelf
from authnet_core.protocol.reshare.messages import (
    SCALAR,
    Nonces,
    ReshareBundle,
    ReshareMessage,
    ReshareRecovery,
    WantNonces,
    WantReshareBundle,
    WantReshareRecovery,
)
from authnet_core.protocol.reshare.params import Party, Peer, PublicKeys, ReshareParams, Sender
from authnet_core.protocol.reshare.picture import Phase, read_view
from authnet_core.protocol.reshare.state import NewState, OldState, State, Want
from authnet_core.protocol.views import ReshareView

RETAIN_TIMER = "retain"
"""The driver's own: RETAIN is over in block time, or the old epoch is erased; what is retained goes."""
ABORT_TIMER = "abort"
"""The driver's own: the hand-over ended without a switch; everything of this resharing goes."""


class Resharing:
    """The machine of one node in one resharing."""

    def __init__(  # noqa: PLR0913, PLR0917 - its place in two committees and what it brings into each
        self,
        params: ReshareParams,
        keys: PublicKeys,
        old_me: Party | None,
        new_me: Party | None,
        ek_secret: bytes | None,
        rows: bytes | None,
        mask_x: bytes | None,
        seed: bytes,
        durable: Mapping[str, bytes],
        timing: Timing | None = None,
    ) -> None:
        """`seed`: 32 fresh random bytes, used only if no deal was stored. `rows`: this old node's share (32) || nonce
        (32) of each key of the batch in index order, None if it lacks one; `mask_x`: its share of the mask key, None
        also if it ever answered a challenge with that mask before. Without both it does not deal.

        Raises ValueError if the keys are not those of the batch, `ek_secret` does not belong to the announced key, or
        a stored record is broken.
        """
        if reason := keys.refuse(params) or _refuse_place(params, old_me, new_me, ek_secret):
            raise ValueError(reason)
        if len(seed) != 32 or (rows is not None and len(rows) != ROW * params.count):
            raise ValueError("a seed of 32 bytes, and a share and a nonce for each key of the batch")
        if mask_x is not None and len(mask_x) != SCALAR:
            raise ValueError("a share of the mask has 32 bytes")
        timing = timing or Timing()
        old = new = None
        if old_me is not None:
            old = OldState(old_me, bytearray(rows or b""), bytearray(mask_x or b""), bytearray(seed))
        if new_me is not None:
            new = NewState(new_me, bytearray(ek_secret or b""))
        fetcher: Fetcher[Peer, Want] = Fetcher(timing.fetch_first, timing.fetch_last)
        submissions = Submissions(timing.resubmit_blocks)
        self._state = State(params, keys, old, new, timing, fetcher, submissions, set(keys.upgraded))
        self._state.load(durable)
        stage_result.take_own_nonces(self._state)
        if new is not None and new.result is not None and records.READY not in durable and ek_secret is None:
            # RETAINED is shredded last, so a crash came right after it: only the shares are left, as they should.
            self._state.erased |= {Shelf.BRIEF, Shelf.RETAINED}

    def __repr__(self) -> str:
        old, new = self._state.old, self._state.new
        places = f"old {old.me if old else '-'}, new {new.me if new else '-'}"
        return f"Resharing({self._state.params.rid.hex()[:12]}, {places})"

    @property
    def closed(self) -> bool:
        """Nothing is left to do or to serve: the driver may drop the machine."""
        return {Shelf.BRIEF, Shelf.RETAINED} <= self._state.erased

    @property
    def batch(self) -> bytes | None:
        """New share (32) || nonce (32) by position, once on disk; it counts from Done(HELD) on."""
        return self._state.new.result if self._state.new else None

    @property
    def missing(self) -> tuple[str, ...]:
        """For status: what this node still waits for.

        `good-share/j`: dealer j cheated, and the chain has not upheld the complaint; `recovery/j`: it has; `fork`: the
        chain shows a challenge or a Q' that it can not have come to by its rules.
        """
        state, picture = self._state, self._state.picture
        if picture is None or picture.phase is Phase.FAILED:
            return ()
        fork = ("fork",) if picture.is_forked else ()
        new = state.new
        if new is None or state.has_result:
            return fork
        if not picture.is_forked and stage_result.is_misled(state, new, picture):
            fork = ("fork",)
        recovered = stage_recovery.missing_recoveries(state, picture)
        cheated = (new.bad_shares & set(picture.q)) - new.plains.keys() - set(recovered)
        return (
            *fork,
            *(f"good-share/{j}" for j in sorted(cheated)),
            *(f"recovery/{j}" for j in recovered),
            *(f"bundle/{j}" for j in stage_exchange.missing_bundles(state, picture)),
            *(("nonces",) if stage_exchange.misses_nonces(state) else ()),
        )

    def on_chain(self, view: ReshareView) -> list[ReshareEffect]:
        """The chain's record now. Call it at every new block until the machine is `closed`."""
        state = self._state
        if view.rid != state.params.rid.hex() or self.closed:
            return []
        if state.picture is not None and view.height < state.picture.height:
            return []
        picture = read_view(state.params, view, state.picture)
        state.late = state.late if state.picture else picture.phase is not Phase.DEAL
        state.picture = picture
        if picture.phase is Phase.FAILED:
            return stage_result.abandon(state, picture)
        return [
            *stage_deal.deal_once(state, picture),
            *stage_deal.answer_once(state, picture),
            *stage_exchange.take_early(state, picture),
            *stage_exchange.after_bundle(state, picture),
            *stage_exchange.fetch(state, picture),
        ]

    def handle(self, sender: Sender, message: ReshareMessage) -> list[ReshareEffect]:
        """A message of an authenticated member. A bad one is counted and dropped, never an exception."""
        state = self._state
        if message.rid != state.params.rid or self._is_unknown_or_me(sender):
            return []
        if not isinstance(message, Nonces | WantNonces) and not state.params.is_dealer(message.dealer):
            return []
        if state.strikes.get(sender, 0) >= STRIKES:
            return []
        match message:
            case ReshareBundle():
                return stage_exchange.take_bundle(state, sender, message)
            case Nonces():
                return stage_exchange.take_nonces(state, sender, message)
            case ReshareRecovery():
                return stage_recovery.take(state, sender, message)
            case WantReshareBundle() | WantReshareRecovery() | WantNonces():
                return stage_exchange.serve(state, sender, message)

    def _is_unknown_or_me(self, sender: Sender) -> bool:
        params, old, new = self._state.params, self._state.old, self._state.new
        if sender.old is not None and (not params.is_dealer(sender.old) or (old and old.me == sender.old)):
            return True
        if sender.new is not None and (not params.is_receiver(sender.new) or (new and new.me == sender.new)):
            return True
        return not sender.places

    def on_timer(self, name: str) -> list[ReshareEffect]:
        """A timer ran out, or one of the driver's own."""
        state = self._state
        state.timers.discard(name)
        if name == ABORT_TIMER:
            return stage_result.drop(state)
        if name == RETAIN_TIMER:
            return state.erase(Shelf.BRIEF, Shelf.RETAINED)
        if name == stage_exchange.SERVE_TIMER:
            state.served.clear()
        picture = state.picture
        if picture is None or self.closed:
            return []
        match name:
            case stage_receive.ACK_TIMER:
                return stage_receive.acknowledge(state, picture, at_once=True)
            case stage_result.GRACE_TIMER:
                return state.erase(Shelf.BRIEF) if state.new is None or state.has_result else []
            case _ if name == FETCH_TIMER:
                return stage_exchange.fetch_now(state, picture)
        return []

    def upgrade(self, position: int) -> list[ReshareEffect]:
        """The chain says that this key was upgraded: its nonce is forgotten and no longer waited for."""
        state = self._state
        if not 0 <= position < state.params.count:
            raise IndexError("no such key in this batch")
        effects = stage_result.forget_nonce(state, position)
        return effects + (stage_result.advance(state, state.picture) if state.picture else [])


def _refuse_place(
    params: ReshareParams, old_me: Party | None, new_me: Party | None, ek_secret: bytes | None
) -> str | None:
    if old_me is None and new_me is None:
        return "a node in neither committee"
    if (old_me is not None and not params.is_dealer(old_me)) or (new_me is not None and not params.is_receiver(new_me)):
        return "no such party"
    if ek_secret is not None and (new_me is None or pub(ek_secret) != params.eks[new_me - 1]):
        return "not the secret of the announced encryption key"
    return None
