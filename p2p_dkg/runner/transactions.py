"""From the machine's chain messages to the protobuf kinds of a transaction. Pure."""

from __future__ import annotations

from google.protobuf.message import Message as Protobuf

from authnet_core.protocol.dkg.messages import (
    Ack,
    ChainMessage,
    Complain,
    Deal,
    FallbackList,
    FallbackScalar,
    Final,
    Have,
    Keys,
    Opened,
)
from authnet_core.protocol.reshare.messages import (
    ReshareAck,
    ReshareChainMessage,
    ReshareComplain,
    ReshareDeal,
    ReshareHave,
    ReshareReady,
    ReshareTest,
)
from authnet_core.wire import authnet_pb2 as pb


def to_transaction(message: ChainMessage) -> tuple[str, Protobuf]:
    """(kind, fields) of one message."""
    match message:
        case Deal():
            return "deal", pb.Deal(
                sid=message.sid,
                e=message.e,
                pok=message.pok,
                root=message.root,
                list_hash=message.list_hash,
                nonce_hash=message.nonce_hash,
                u=message.u,
            )
        case Ack(sid, dealers):
            return "ack", pb.Ack(sid=sid, dealers=dealers)
        case Complain():
            return "complain", pb.Complain(
                sid=message.sid,
                dealer=message.dealer,
                shared=message.shared,
                dleq=message.dleq,
                ciphertext=message.ciphertext,
                leaves=message.leaves,
                deal_hash=message.deal_hash,
            )
        case FallbackList(sid, dealer, list_hash):
            return "fallback_list", pb.FallbackList(sid=sid, dealer=dealer, list_hash=list_hash)
        case FallbackScalar(sid, dealer, w):
            return "fallback_scalar", pb.FallbackScalar(sid=sid, dealer=dealer, w=w)
        case Opened(sid, dealers):
            return "opened", pb.Opened(sid=sid, dealers=dealers)
        case Final(sid, root):
            return "final", pb.Final(sid=sid, root=root)
        case Keys(sid, chunk, keys, path):
            return "keys", pb.Keys(sid=sid, chunk=chunk, keys=keys, path=path)
        case Have(sid):
            return "have", pb.Have(sid=sid)


def reshare_transaction(message: ReshareChainMessage) -> tuple[str, Protobuf]:
    """(kind, fields) of one message of a resharing."""
    match message:
        case ReshareDeal(rid, e, pok, root):
            return "rdeal", pb.ReshareDeal(rid=rid, e=e, pok=pok, root=root)
        case ReshareTest(rid, u, gamma_seed):
            return "rtest", pb.ReshareTest(rid=rid, u=u, gamma_seed=gamma_seed)
        case ReshareAck(rid, dealers, total):
            return "rack", pb.ReshareAck(rid=rid, dealers=dealers, sum=total)
        case ReshareComplain():
            return "rcomplain", pb.ReshareComplain(
                rid=message.rid,
                dealer=message.dealer,
                shared=message.shared,
                dleq=message.dleq,
                ciphertext=message.ciphertext,
                leaves=message.leaves,
                deal_hash=message.deal_hash,
            )
        case ReshareReady(rid, digest):
            return "ready", pb.ReshareReady(rid=rid, hash=digest)
        case ReshareHave(rid):
            return "rhave", pb.ReshareHave(rid=rid)
