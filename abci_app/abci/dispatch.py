"""From ABCI requests to the application and back: protobuf in, protobuf out, no sockets.

A bug in a rule stops the process (replicas must not diverge silently); bad input is a code in the response.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NoReturn

import msgspec

from abci_app.abci.application import APP_VERSION, Application, InitialState
from abci_app.metrics import CHECKED, FINALIZE_SECONDS
from abci_app.pb.tendermint.abci import types_pb2 as pb
from abci_app.pb.tendermint.crypto import keys_pb2, proof_pb2
from abci_app.queries import queries
from abci_app.rules.events import Event
from abci_app.rules.execution import Outcome
from abci_app.rules.genesis import parse
from abci_app.snapshots.chunks import FORMAT
from abci_app.snapshots.restore import Offer
from abci_app.state import proofs
from abci_app.state import records as r
from abci_app.state.state import Block
from authnet_core.errors import AuthnetError, Code, number
from authnet_runtime.logs import get_logger

CODESPACE = "authnet"
CONSENSUS: Final = frozenset(
    {
        "init_chain",
        "prepare_proposal",
        "process_proposal",
        "extend_vote",
        "verify_vote_extension",
        "finalize_block",
        "commit",
    }
)
_log = get_logger("abci")
_encoder = msgspec.json.Encoder()


def stop(reason: str, error: Exception) -> NoReturn:
    """End the process at once: going on could commit what other nodes do not."""
    _log.critical("app.stopped", reason=reason, error=type(error).__name__, exc_info=error)
    os._exit(70)


def _block(request: Any) -> Block:
    stamp = request.time
    return Block(request.height, stamp.seconds * 1_000 + stamp.nanos // 1_000_000)


def _events(events: Sequence[Event]) -> list[pb.Event]:
    return [
        pb.Event(
            type=event.type,
            attributes=[pb.EventAttribute(key=key, value=value, index=True) for key, value in event.attributes],
        )
        for event in events
    ]


def _number(code: Code | None) -> int:
    return 0 if code is None else number(code)


def _tx_result(outcome: Outcome) -> pb.ExecTxResult:
    return pb.ExecTxResult(
        code=_number(outcome.code),
        data=outcome.data,
        log=outcome.log,
        events=_events(outcome.events),
        codespace="" if outcome.code is None else CODESPACE,
    )


def _validator_update(key: bytes, power: int) -> pb.ValidatorUpdate:
    return pb.ValidatorUpdate(pub_key=keys_pb2.PublicKey(ed25519=key), power=power)


class Dispatcher:
    """Answers one request at a time."""

    def __init__(self, app: Application) -> None:
        self._app = app
        self.calls: Mapping[str, Callable[[Any], pb.Response]] = {
            "echo": self._echo,
            "flush": self._flush,
            "info": self._last_commit,
            "init_chain": self._init_chain,
            "query": self._query,
            "check_tx": self._check_tx,
            "commit": self._commit,
            "list_snapshots": self._list_snapshots,
            "offer_snapshot": self._offer_snapshot,
            "load_snapshot_chunk": self._load_snapshot_chunk,
            "apply_snapshot_chunk": self._apply_snapshot_chunk,
            "prepare_proposal": self._prepare_proposal,
            "process_proposal": self._process_proposal,
            "extend_vote": lambda _: pb.Response(extend_vote=pb.ResponseExtendVote()),
            "verify_vote_extension": self._verify_vote_extension,
            "finalize_block": self._finalize_block,
        }

    def drop_uncommitted(self) -> None:
        self._app.drop_uncommitted()

    def answer(self, request: pb.Request) -> pb.Response:
        """The response to any request; one that is not ABCI 2.0 gets an exception response."""
        kind = request.WhichOneof("value")
        call = self.calls.get(kind or "")
        if kind is None or call is None:
            return pb.Response(exception=pb.ResponseException(error=f"request {kind} is not served"))
        return call(getattr(request, kind))

    # any connection

    def _echo(self, request: pb.RequestEcho) -> pb.Response:
        return pb.Response(echo=pb.ResponseEcho(message=request.message))

    def _flush(self, request: pb.RequestFlush) -> pb.Response:
        return pb.Response(flush=pb.ResponseFlush())

    def _last_commit(self, request: pb.RequestInfo) -> pb.Response:
        meta = self._app.meta
        info = pb.ResponseInfo(
            data="authnet",
            version="1",
            app_version=APP_VERSION,
            last_block_height=meta.height,
            last_block_app_hash=meta.app_hash if meta.height else b"",
        )
        return pb.Response(info=info)

    def _query(self, request: pb.RequestQuery) -> pb.Response:
        try:
            found = queries.answer(self._app.store, request.path, request.height, request.prove)
        except AuthnetError as refusal:
            return pb.Response(query=_refused(refusal))
        except Exception as error:
            _log.error("query.failed", path=request.path[:100], exc_info=error)
            return pb.Response(query=_refused(AuthnetError(Code.INTERNAL, "internal error")))
        result = pb.ResponseQuery(height=found.height)
        if found.refusal is not None:
            result = _refused(found.refusal)
            result.height = found.height
        else:
            result.value = _encoder.encode(found.view)
        ops = [
            proof_pb2.ProofOp(type=proofs.ICS23_OP, key=proof.key, data=proofs.to_ics23(proof))
            for proof in found.proofs
        ]
        if ops:
            result.proof_ops.CopyFrom(proof_pb2.ProofOps(ops=ops))
        return pb.Response(query=result)

    # mempool connection

    def _check_tx(self, request: pb.RequestCheckTx) -> pb.Response:
        try:
            outcome = self._app.check_tx(request.tx)
        except Exception as error:
            _log.error("check_tx.failed", exc_info=error)
            outcome = Outcome(Code.INTERNAL, "internal error", b"", [])
        CHECKED.labels("accepted" if outcome.code is None else outcome.code.value).inc()
        codespace = "" if outcome.code is None else CODESPACE
        result = pb.ResponseCheckTx(code=_number(outcome.code), log=outcome.log, codespace=codespace)
        return pb.Response(check_tx=result)

    # consensus connection

    def _init_chain(self, request: pb.RequestInitChain) -> pb.Response:
        try:
            keys = sorted((update.pub_key.ed25519, update.power) for update in request.validators)
            initial = InitialState(
                chain_id=request.chain_id,
                time_ms=request.time.seconds * 1_000 + request.time.nanos // 1_000_000,
                app_state=parse(request.app_state_bytes),
                validators=r.ValidatorSet(tuple(keys)),
                initial_height=request.initial_height,
            )
            app_hash = self._app.init_chain(initial)
        except AuthnetError as error:
            # CometBFT shows this text and stops: a genesis that can not work is the operator's to mend.
            return pb.Response(exception=pb.ResponseException(error=error.message))
        return pb.Response(init_chain=pb.ResponseInitChain(app_hash=app_hash))

    def _prepare_proposal(self, request: pb.RequestPrepareProposal) -> pb.Response:
        try:
            txs = self._app.prepare_proposal(list(request.txs), _block(request), request.max_tx_bytes)
        except Exception as error:
            # Were this to stop the process, one transaction that meets a bug would stop each proposer in turn.
            _log.error("prepare_proposal.failed", exc_info=error)
            txs = []
        return pb.Response(prepare_proposal=pb.ResponsePrepareProposal(txs=txs))

    def _process_proposal(self, request: pb.RequestProcessProposal) -> pb.Response:
        accepted = self._app.process_proposal(list(request.txs))
        verdict = pb.ResponseProcessProposal.ACCEPT if accepted else pb.ResponseProcessProposal.REJECT
        return pb.Response(process_proposal=pb.ResponseProcessProposal(status=verdict))

    def _verify_vote_extension(self, request: pb.RequestVerifyVoteExtension) -> pb.Response:
        empty = not request.vote_extension
        verdict = pb.ResponseVerifyVoteExtension.ACCEPT if empty else pb.ResponseVerifyVoteExtension.REJECT
        return pb.Response(verify_vote_extension=pb.ResponseVerifyVoteExtension(status=verdict))

    def _finalize_block(self, request: pb.RequestFinalizeBlock) -> pb.Response:
        with FINALIZE_SECONDS.time():
            finalized = self._app.finalize_block(list(request.txs), _block(request))
        result = pb.ResponseFinalizeBlock(
            events=_events(finalized.events),
            tx_results=[_tx_result(outcome) for outcome in finalized.outcomes],
            app_hash=finalized.pending.meta.app_hash,
            validator_updates=[_validator_update(key, power) for key, power in finalized.validator_updates],
        )
        return pb.Response(finalize_block=result)

    def _commit(self, request: pb.RequestCommit) -> pb.Response:
        self._app.commit()
        return pb.Response(commit=pb.ResponseCommit())

    # snapshot connection

    def _list_snapshots(self, request: pb.RequestListSnapshots) -> pb.Response:
        shelf = self._app.shelf
        found = [
            pb.Snapshot(height=o.height, format=o.format, chunks=o.chunks, hash=o.hash, metadata=o.metadata)
            for o in (shelf.offers() if shelf is not None else ())
        ]
        return pb.Response(list_snapshots=pb.ResponseListSnapshots(snapshots=found))

    def _load_snapshot_chunk(self, request: pb.RequestLoadSnapshotChunk) -> pb.Response:
        shelf = self._app.shelf
        is_known = shelf is not None and request.format == FORMAT
        chunk = shelf.chunk(request.height, request.chunk) if shelf is not None and is_known else b""
        return pb.Response(load_snapshot_chunk=pb.ResponseLoadSnapshotChunk(chunk=chunk))

    def _offer_snapshot(self, request: pb.RequestOfferSnapshot) -> pb.Response:
        s = request.snapshot
        offer = Offer(s.height, s.format, s.chunks, s.hash, s.metadata)
        offered = self._app.offer_snapshot(offer, request.app_hash)
        _log.info("snapshot.offered", height=offer.height, chunks=offer.chunks, verdict=offered.value)
        verdict = offered.name
        return pb.Response(offer_snapshot=pb.ResponseOfferSnapshot(result=verdict))

    def _apply_snapshot_chunk(self, request: pb.RequestApplySnapshotChunk) -> pb.Response:
        answer = self._app.apply_snapshot_chunk(request.index, request.chunk, request.sender)
        if answer.reason:
            _log.warning("snapshot.refused", index=request.index, sender=request.sender, reason=answer.reason)
        response = pb.ResponseApplySnapshotChunk(
            result=answer.verdict.name,
            refetch_chunks=answer.refetch,
            reject_senders=answer.reject,
        )
        return pb.Response(apply_snapshot_chunk=response)


def _refused(refusal: AuthnetError) -> pb.ResponseQuery:
    return pb.ResponseQuery(code=number(refusal.code), log=refusal.message, codespace=CODESPACE)
