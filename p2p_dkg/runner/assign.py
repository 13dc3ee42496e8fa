"""ASSIGN: an account gets its key, once, whoever asks and however often.

Asks for one account that run at the same time share one transaction. The answer is read from the chain after the
block, so the loser of a race between nodes reads the winner's result.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import anyio

from authnet_core.errors import AuthnetError, Code
from authnet_core.protocol.views import AccountView
from authnet_core.wire import authnet_pb2 as pb
from authnet_runtime.chain import BlockNote, ChainReader
from p2p_dkg.ports import Assigned, AssignRequest
from p2p_dkg.runner.committees import Committees
from p2p_dkg.runner.submit import Ticket, TxDesk
from p2p_dkg.runner.watch import ChainWatch

IS_NEW_MS = 10_000
WAIT_S = 12.0
RESEND_S = 4.0
STALE_S = 30.0
"""A chain that lives makes a block every few seconds. Without one for so long nothing is sent any more."""
MAX_IN_FLIGHT = 1024
_LOOK_EVERY = 4
"""Blocks between looks at an account no event spoke of."""
_PURPOSES = {"lookup": pb.PURPOSE_LOOKUP, "login": pb.PURPOSE_LOGIN}


@dataclass(slots=True)
class _Ask:
    """An assignment on its way, shared by all who want it."""

    done: anyio.Event = field(default_factory=anyio.Event)
    look: bool = False
    """Whether something says that the account has its key now."""
    result: Assigned | None = None
    refusal: AuthnetError | None = None


class Assigner:
    """Assigns keys through the chain."""

    def __init__(
        self, chain: ChainReader, watch: ChainWatch, desk: TxDesk, committees: Callable[[], Committees]
    ) -> None:
        self._chain, self._watch, self._desk, self._committees = chain, watch, desk, committees
        self._asks: dict[tuple[bytes, str], _Ask] = {}

    async def assign(self, request: AssignRequest) -> Assigned:
        """The account's key. Raises AuthnetError: the chain's refusal, BUSY, CHAIN_STALE, TIMEOUT or UNAVAILABLE.

        EPOCH_MOVED when this node's committee has left and the account has no key yet.
        """
        if request.curve != "secp256k1":
            raise AuthnetError(Code.UNSUPPORTED_CURVE, f"keys of curve {request.curve!r} are not made here")
        if request.purpose not in _PURPOSES or len(request.account_id) != 32:
            raise AuthnetError(Code.BAD_PARAMS, "account_id needs 32 bytes, purpose is lookup or login")
        found = await self.existing(request.account_id, request.curve)
        return found if found is not None else await self._join(request)

    async def existing(self, account_id: bytes, curve: str) -> Assigned | None:
        """The key the account has already, or None."""
        view = await self._chain.query(f"/account/{account_id.hex()}?curve={curve}", AccountView)
        newest = self._watch.newest
        if view is None or not view.keys or newest is None:
            return None
        key = view.keys[0]
        return Assigned(key, newest.time_ms - key.assigned_ms < IS_NEW_MS)

    def hint(self, note: BlockNote) -> None:
        """Take the `assigned` events of a block; who gets none looks every few blocks."""
        if not self._asks:
            return
        named = {e.attributes.get("account_id") for e in note.events if e.type == "assigned"}
        for (account, _), ask in self._asks.items():
            ask.look = ask.look or account.hex() in named

    async def _join(self, request: AssignRequest) -> Assigned:
        place = (request.account_id, request.curve)
        ask = self._asks.get(place)
        if ask is not None:
            await ask.done.wait()
        else:
            if len(self._asks) >= MAX_IN_FLIGHT:
                raise AuthnetError(Code.BUSY, "too many assignments under way")
            ask = self._asks[place] = _Ask()
            await self._lead(request, ask)
        if ask.result is None:
            raise ask.refusal or AuthnetError(Code.UNAVAILABLE, "the assignment was given up")
        return ask.result

    async def _lead(self, request: AssignRequest, ask: _Ask) -> None:
        last_block = self._watch.received_at
        try:
            if self._watch.newest is not None and time.monotonic() - last_block > STALE_S:
                raise AuthnetError(Code.CHAIN_STALE, f"the chain stands still: no block for {STALE_S:g} s")
            with anyio.move_on_after(WAIT_S):
                ask.result = await self._submit_and_wait(request, ask)
            if ask.result is None and self._watch.received_at == last_block:
                raise AuthnetError(Code.CHAIN_STALE, f"the chain stands still: no block in {WAIT_S:g} s")
            if ask.result is None:
                raise AuthnetError(Code.TIMEOUT, f"the chain assigned no key in {WAIT_S:g} s")
        except AuthnetError as refusal:
            ask.refusal = refusal
        finally:
            del self._asks[request.account_id, request.curve]
            ask.done.set()

    async def _submit_and_wait(self, request: AssignRequest, ask: _Ask) -> Assigned:
        fields = pb.Assign(
            verifier=request.verifier,
            account_id=request.account_id,
            curve=pb.CURVE_SECP256K1,
            number=0,
            purpose=_PURPOSES[request.purpose],
        )
        ticket = await self._send(fields, ask)
        resend_at = anyio.current_time() + RESEND_S
        blocks = 0
        while True:
            blocks += 1
            is_turn = blocks % _LOOK_EVERY == 0
            refused = ticket.code if ticket.code is Code.WRONG_EPOCH else self._desk.refusal_of(ticket)
            ask.look = ask.look or refused is not None
            if (ask.look or is_turn) and (found := await self.existing(request.account_id, request.curve)) is not None:
                return found
            if refused not in (None, Code.ACCOUNT_HAS_KEY, Code.WRONG_EPOCH):
                raise AuthnetError(refused, "the chain refused the assignment")
            if anyio.current_time() >= resend_at or refused is Code.WRONG_EPOCH:
                # A mempool that was lost with its process, or the next committee took over between CheckTx and the
                # block. A second ASSIGN that gets in is refused by the rules.
                ticket = await self._send(fields, ask)
                resend_at = anyio.current_time() + RESEND_S
            await self._watch.next_block()

    def _epoch(self) -> int:
        newest, committees = self._watch.newest, self._committees()
        epoch = committees.assigning_epoch(newest.time_ms if newest is not None else 0)
        if epoch == 0:
            code = Code.EPOCH_MOVED if any(committees.index_in(view.epoch) for view in committees.former) else None
            raise AuthnetError(code or Code.NOT_A_MEMBER, "this node is in no committee that assigns keys now")
        return epoch

    async def _send(self, fields: pb.Assign, ask: _Ask) -> Ticket:
        ticket = await self._desk.send(self._epoch(), "assign", fields)
        if ticket.code is Code.WRONG_EPOCH:  # its CheckTx is a block ahead of what was read here
            return ticket
        if ticket.code not in (None, Code.ACCOUNT_HAS_KEY, Code.SEEN_BEFORE):
            raise AuthnetError(ticket.code, ticket.log)
        ask.look = ask.look or ticket.code is not None
        return ticket
