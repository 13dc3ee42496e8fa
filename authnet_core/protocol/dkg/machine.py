"""One session of key generation as a machine without I/O: steps 1 to 8, C, F and R of docs/protocol/dkg.md.

`on_chain` is level-triggered: it gets the chain's whole record of the session and does what is missing. The same
construction and the same inputs give the same effects. After a crash: construct from what was stored, call on_chain,
go on. One thread at a time; a call may take tens of milliseconds, nearly all in calls that let other threads run.
"""

from collections.abc import Mapping

from authnet_core.crypto.secp256k1 import pub
from authnet_core.protocol.dkg import records, stage_deal, stage_exchange, stage_fallback, stage_keys, stage_recovery
from authnet_core.protocol.dkg.batch import Batch, load_batch
from authnet_core.protocol.dkg.effects import Effect, Shelf
from authnet_core.protocol.dkg.fetching import FETCH_TIMER, Fetcher, Want
from authnet_core.protocol.dkg.messages import (
    Bundle,
    Message,
    Parts,
    PointList,
    Recovery,
    WantBundle,
    WantList,
    WantParts,
    WantRecovery,
)
from authnet_core.protocol.dkg.params import Party, SessionParams
from authnet_core.protocol.dkg.picture import Phase, Picture, read_view
from authnet_core.protocol.dkg.state import STRIKES, State, Timing
from authnet_core.protocol.dkg.submissions import Submissions
from authnet_core.protocol.views import SessionView

RETAIN_TIMER = "retain"


class Session:
    """The machine of one node in one session."""

    def __init__(
        self,
        params: SessionParams,
        me: Party,
        ek_secret: bytes | None,
        seed: bytes,
        durable: Mapping[str, bytes],
        timing: Timing | None = None,
    ) -> None:
        """`seed` is 32 fresh random bytes, used only if no deal was stored.

        Raises ValueError if `ek_secret` does not belong to the announced key, or a stored record is broken.
        """
        if not params.is_party(me) or len(seed) != 32:
            raise ValueError("no such party, or a seed of wrong length")
        if ek_secret is not None and pub(ek_secret) != params.eks[me - 1]:
            raise ValueError("not the secret of the announced encryption key")
        timing = timing or Timing()
        fetcher: Fetcher[Party, Want] = Fetcher(timing.fetch_first, timing.fetch_last)
        submissions = Submissions(timing.resubmit_blocks)
        self._state = State(params, me, timing, bytearray(ek_secret or b""), bytearray(seed), fetcher, submissions)
        self._state.load(durable)
        self._state.batch = load_batch(durable)
        if records.SHARES in durable and records.KEYS not in durable and ek_secret is None:
            # RETAINED is shredded last, so a crash came right after it: only the shares are left, as they should.
            self._state.erased |= {Shelf.BRIEF, Shelf.RETAINED}

    def __repr__(self) -> str:
        return f"Session({self._state.params.sid.hex()[:12]}, party {self._state.me})"

    @property
    def closed(self) -> bool:
        """Nothing is left to do or to serve: the driver may drop the machine."""
        return {Shelf.BRIEF, Shelf.RETAINED} <= self._state.erased

    @property
    def batch(self) -> Batch | None:
        """Own shares and the public list once computed; they count from Done(HELD) on."""
        return self._state.batch

    @property
    def missing(self) -> tuple[str, ...]:
        """For status: what this node still waits for.

        `good-share/i`: dealer i cheated, and the chain has not upheld the complaint; `recovery/i`: it has; `fork/i`:
        the chain shows a fallback that it can not have come to by its rules.
        """
        state, picture = self._state, self._state.picture
        if picture is None or state.has_result:
            return ()
        recovered = stage_recovery.missing_recoveries(state, picture)
        cheated = (state.held.bad_shares & set(picture.q)) - state.held.plains.keys() - set(recovered)
        return (
            *(f"good-share/{i}" for i in sorted(cheated)),
            *(f"recovery/{i}" for i in recovered),
            *(f"bundle/{i}" for i in stage_exchange.missing_bundles(state, picture)),
            *(f"list/{i}" for i in stage_exchange.missing_lists(state, picture)),
            *(f"parts/{i}/{holder}" for i, holder in stage_fallback.missing_parts(state, picture)),
            *(f"fork/{i}" for i in stage_fallback.forks(state, picture)),
        )

    def on_chain(self, view: SessionView) -> list[Effect]:
        """The chain's record now. Call it at every new block until the session is `closed`."""
        state = self._state
        if view.sid != state.params.sid.hex() or self.closed:
            return []
        if state.picture is not None and view.height < state.picture.height:
            return []
        picture = read_view(state.params, view, state.picture)
        state.late = state.late if state.picture else picture.phase is not Phase.DEAL
        state.picture = picture
        if picture.phase is Phase.ABANDONED:
            return stage_keys.abandon(state, picture)
        return [
            *stage_deal.reopen_stored(state, picture),
            *stage_deal.deal_once(state, picture),
            *stage_exchange.take_early(state, picture),
            *stage_recovery.complain(state, picture),
            *stage_deal.acknowledge(state, picture),
            *stage_keys.reveal_own_list(state, picture),
            *stage_fallback.take_part(state, picture),
            *stage_keys.advance(state, picture),
            *stage_exchange.fetch(state, picture),
        ]

    def handle(self, sender: Party, message: Message) -> list[Effect]:
        """A message of an authenticated member. A bad one is counted and dropped, never an exception."""
        state = self._state
        if not state.params.is_party(sender) or sender == state.me or message.sid != state.params.sid:
            return []
        if not state.params.is_party(message.dealer) or state.strikes.get(sender, 0) >= STRIKES:
            return []
        match message:
            case Bundle() | PointList():
                return stage_exchange.take(state, sender, message)
            case Parts():
                return stage_fallback.take(state, sender, message)
            case Recovery():
                return stage_recovery.take(state, sender, message)
            case WantBundle() | WantList() | WantParts() | WantRecovery():
                return stage_exchange.serve(state, sender, message)

    def on_timer(self, name: str) -> list[Effect]:
        """A timer ran out. RETAIN_TIMER is the driver's own: RETAIN is over in block time."""
        state = self._state
        state.timers.discard(name)
        picture = state.picture
        if picture is None or self.closed:
            return []
        if name.startswith(stage_keys.KEYS_TIMER):
            return stage_keys.post_keys(state, picture, int(name.removeprefix(stage_keys.KEYS_TIMER)))
        return self._on_named_timer(name, picture)

    def _on_named_timer(self, name: str, picture: Picture) -> list[Effect]:
        state = self._state
        match name:
            case stage_deal.ACK_TIMER:
                return stage_deal.acknowledge(state, picture, at_once=True)
            case stage_keys.OPENED_TIMER:
                return stage_keys.tell_opened(state, picture, at_once=True)
            case stage_keys.GRACE_TIMER:
                return state.erase(Shelf.BRIEF)
            case stage_exchange.SERVE_TIMER:
                state.served.clear()
                return []
            case _ if name == FETCH_TIMER:
                return stage_exchange.fetch_now(state, picture)
            case _ if name == RETAIN_TIMER:
                return state.erase(Shelf.BRIEF, Shelf.RETAINED)
        return []
