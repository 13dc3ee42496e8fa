"""The JSON-RPC methods, one function each, and the one table that names them.

Behaviour where sources differ: interfaces.md section 2. The keeper decides about tokens and receipts; here
they are only put into form.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from authnet_core.errors import AuthnetError, Code
from authnet_core.json_text import NOT_JSON
from authnet_core.protocol.receipts import MAX_TEXT, PREFIX
from node_api.encoding import address, coordinates, hex_field, point_field, text_base64
from node_api.keeper import ReceiptFields, Released, Sealed, ShareCall
from node_api.node import Account, Node
from node_api.torus_wire import (
    MAX_RECEIPTS,
    BareKey,
    CommitmentParams,
    CommitmentResult,
    EchoedReceipt,
    KeyLookupParams,
    KeyLookupResult,
    LoginItem,
    LoginNonce,
    LookupKey,
    LookupParams,
    LookupResult,
    PingParams,
    PingResult,
    PublicKey,
    PublicNonce,
    PubNonce,
    SealedMetadata,
    SealedNonce,
    ShareKey,
    ShareParams,
    ShareResult,
    VerifierLookupResult,
)

MAX_SESSION_S = 30 * 86_400


async def get_pub_key_or_key_assign(node: Node, params: LookupParams) -> LookupResult:
    """The key of an account, assigned now if there is none."""
    key = await node.find_or_assign(_account(params))
    x, y = coordinates(key.Y)
    entry = LookupKey(
        pub_key_X=x,
        pub_key_Y=y,
        address=address(key.Y),
        nonce_data=PublicNonce(pubNonce=_pub_nonce(key.N), upgraded=key.upgraded),
        created_at=key.created_ms // 1000,
    )
    return LookupResult(keys=(entry,), is_new_key=key.is_new, node_index=str(await node.index()))


async def verifier_lookup(node: Node, params: LookupParams) -> VerifierLookupResult:
    """The key of an account; never assigns."""
    key = await node.find(_account(params))
    x, y = coordinates(key.Y)
    entry = BareKey(key_index=f"{key.index:x}", pub_key_X=x, pub_key_Y=y, address=address(key.Y))
    return VerifierLookupResult(keys=(entry,))


async def key_lookup(node: Node, params: KeyLookupParams) -> KeyLookupResult:
    """Whether a public key is ours; never whose it is."""
    point = point_field("pub_key_", params.pub_key_X, params.pub_key_Y)
    key = await node.chain.key_by_pub(point)
    if key is None:
        raise AuthnetError(Code.NOT_FOUND, "no key of this network")
    return KeyLookupResult(key_index=f"{key.index:x}", created_at=key.assigned_ms // 1000, assigned=not key.free)


async def ping(node: Node, params: PingParams) -> PingResult:
    """Who answers here, and how far its chain is."""
    status = await node.chain.status()
    epoch = await node.chain.serving_epoch()
    return PingResult(
        chain_id=status.chain_id,
        epoch=epoch.epoch,
        node_index=await node.index(),
        height=node.chain.height or status.height,
    )


async def commitment_request(node: Node, params: CommitmentParams) -> CommitmentResult:
    """First round: a receipt that binds a token's hash to a session key."""
    if params.messageprefix != PREFIX:
        raise AuthnetError(Code.BAD_PARAMS, f"messageprefix: expected {PREFIX}")
    token_hash = hex_field("tokencommitment", params.tokencommitment, 32)
    temp_pub = point_field("temppub", params.temppubx, params.temppuby)
    record = await node.chain.verifier(params.verifieridentifier)
    look = asyncio.create_task(_known_x(node, params)) if params.verifier_id else None
    try:
        receipt = await node.keeper.commit(token_hash, temp_pub, record.name, params.epoch)
        known_x = await look if look else ""
    finally:
        if look:
            look.cancel()
    x, y = coordinates(receipt.node_pub)
    return CommitmentResult(
        signature=receipt.signature,
        data=receipt.data,
        nodepubx=x,
        nodepuby=y,
        nodeindex=str(receipt.node_index),
        pub_key_x=known_x,
    )


async def _known_x(node: Node, params: CommitmentParams) -> str:
    """x of the account's key, "" if it has none or the chain can not say: the receipt matters more."""
    account = Account(params.verifieridentifier, params.verifier_id, params.extended_verifier_id, params.keytype)
    try:
        return coordinates((await node.find(account)).Y)[0]
    except AuthnetError:
        return ""


async def get_share_or_key_assign(node: Node, params: ShareParams) -> ShareResult:
    """Login: this node's share of one account's key, sealed to the session key."""
    if len(params.item) != 1:
        raise AuthnetError(Code.BAD_PARAMS, "item: exactly one login a request")
    item = params.item[0]
    verifier = item.verifieridentifier or params.verifieridentifier
    if params.verifieridentifier not in ("", verifier):
        raise AuthnetError(Code.BAD_PARAMS, "verifieridentifier: the request and its item name two verifiers")
    if item.sub_verifier_ids:
        raise AuthnetError(Code.BAD_PARAMS, "sub_verifier_ids: this network has no aggregate verifiers")
    if not 1 <= item.session_token_exp_second <= MAX_SESSION_S:
        raise AuthnetError(Code.BAD_PARAMS, f"session_token_exp_second: expected 1 to {MAX_SESSION_S}")
    record = await node.chain.verifier(verifier)
    receipts = _receipts(item)
    temp_pub = "" if receipts else _temp_pub(params)
    released = await node.keeper.share(
        ShareCall(
            verifier=record.name,
            verifier_id=item.verifier_id,
            id_token=item.idtoken,
            extension=item.extended_verifier_id,
            temp_pub=temp_pub,
            receipts=receipts,
            nonce_enc=params.nonce_enc or item.nonce_enc,
            session_s=item.session_token_exp_second,
            curve=item.key_type,
            epoch=params.epoch,
        )
    )
    return _share_result(released)


def _receipts(item: LoginItem) -> tuple[ReceiptFields, ...]:
    """The well-formed receipts among the echoed answers of other nodes; junk is left out, not refused."""
    if len(item.nodesignatures) > MAX_RECEIPTS:
        raise AuthnetError(Code.BAD_PARAMS, f"nodesignatures: at most {MAX_RECEIPTS}")
    receipts = []
    for raw in item.nodesignatures:
        try:
            echoed = msgspec.json.decode(raw, type=EchoedReceipt)
            node_pub = point_field("nodepub", echoed.nodepubx, echoed.nodepuby).hex()
            signature = hex_field("signature", echoed.signature, 65).hex()
        except (AuthnetError, *NOT_JSON):
            continue
        if len(echoed.data) <= MAX_TEXT:
            receipts.append(ReceiptFields(echoed.data, signature, node_pub))
    if item.nodesignatures and not receipts:
        raise AuthnetError(Code.RECEIPTS_TOO_FEW, "nodesignatures: no well-formed receipt in it")
    return tuple(receipts)


def _temp_pub(params: ShareParams) -> str:
    if not params.temppubx or not params.temppuby:
        raise AuthnetError(Code.RECEIPTS_TOO_FEW, "no receipts and no session key were sent")
    return point_field("temppub", params.temppubx, params.temppuby).hex()


def _share_result(released: Released) -> ShareResult:
    x, y = coordinates(released.Y)
    node_x, node_y = coordinates(released.service_pub)
    key = ShareKey(
        index=f"{released.index:x}",
        public_key=PublicKey(X=x, Y=y),
        node_index=str(released.node_index),
        share=text_base64(released.share.ciphertext),
        share_metadata=_metadata(released.share),
        nonce_data=_login_nonce(released),
        created_at=released.created_ms // 1000,
    )
    return ShareResult(
        keys=(key,),
        session_tokens=(released.session_token.ciphertext,),
        session_token_metadata=(_metadata(released.session_token),),
        session_token_sigs=(released.session_token_sig.ciphertext,),
        session_token_sig_metadata=(_metadata(released.session_token_sig),),
        node_pubx=node_x,
        node_puby=node_y,
        is_new_key="true" if released.is_new else "false",
        epoch=released.epoch,
    )


def _login_nonce(released: Released) -> LoginNonce:
    sealed = released.nonce_sealed
    return LoginNonce(
        pubNonce=_pub_nonce(released.N),
        upgraded=released.upgraded,
        typeOfUser="v2",
        nonce=released.nonce or "",
        nonce_enc=SealedNonce(iv=sealed.iv, ephemPublicKey=sealed.ephem, mac=sealed.mac, ciphertext=sealed.ciphertext)
        if sealed
        else None,
    )


def _metadata(sealed: Sealed) -> SealedMetadata:
    return SealedMetadata(iv=sealed.iv, ephemPublicKey=sealed.ephem, mac=sealed.mac)


def _pub_nonce(point_hex: str) -> PubNonce:
    x, y = coordinates(point_hex)
    return PubNonce(x=x, y=y)


def _account(params: LookupParams) -> Account:
    return Account(params.verifier, params.verifier_id, params.extended_verifier_id, params.key_type)


Handler = Callable[[Node, Any], Awaitable[msgspec.Struct]]


@dataclass(frozen=True, slots=True)
class Method:
    """How a method's parameters are read and who answers it."""

    decoder: msgspec.json.Decoder[Any]
    handler: Handler


METHODS: dict[str, Method] = {
    "GetPubKeyOrKeyAssign": Method(msgspec.json.Decoder(LookupParams), get_pub_key_or_key_assign),
    "VerifierLookupRequest": Method(msgspec.json.Decoder(LookupParams), verifier_lookup),
    "KeyLookupRequest": Method(msgspec.json.Decoder(KeyLookupParams), key_lookup),
    "CommitmentRequest": Method(msgspec.json.Decoder(CommitmentParams), commitment_request),
    "GetShareOrKeyAssign": Method(msgspec.json.Decoder(ShareParams), get_share_or_key_assign),
    "Ping": Method(msgspec.json.Decoder(PingParams), ping),
}
