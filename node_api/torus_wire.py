"""Requests and results of the JSON-RPC methods, field for field as torus.js has them (torusjs-wire.md section 2).

Only fields that the node reads are named; others are skipped. Pure.
"""

# ruff: noqa: N815 (names are those of the wire)

from __future__ import annotations

from typing import Annotated

import msgspec

MAX_RECEIPTS = 32
Epoch = Annotated[int, msgspec.Meta(ge=0, lt=2**62)]
"""Whom our clients mean; torus.js says nothing, which means the serving committee."""


class Fields(msgspec.Struct, frozen=True, kw_only=True):
    """Parameters of a request."""


class Result(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=False):
    """Result of a request."""


class LookupParams(Fields, frozen=True):
    """GetPubKeyOrKeyAssign and VerifierLookupRequest."""

    verifier: str
    verifier_id: str
    extended_verifier_id: str = ""
    key_type: str = "secp256k1"


class KeyLookupParams(Fields, frozen=True):
    pub_key_X: str
    pub_key_Y: str


class PingParams(Fields, frozen=True):
    pass


class CommitmentParams(Fields, frozen=True):
    tokencommitment: str
    temppubx: str
    temppuby: str
    verifieridentifier: str
    messageprefix: str = "mug00"
    keytype: str = "secp256k1"
    verifier_id: str = ""
    extended_verifier_id: str = ""
    epoch: Epoch = 0


class LoginItem(Fields, frozen=True):
    """One login. `nodesignatures` stays raw: another node's junk in it must not cost the login."""

    idtoken: str
    verifier_id: str
    verifieridentifier: str = ""
    extended_verifier_id: str = ""
    key_type: str = "secp256k1"
    nodesignatures: tuple[msgspec.Raw, ...] = ()
    session_token_exp_second: int = 86_400
    nonce_enc: bool = False
    sub_verifier_ids: tuple[msgspec.Raw, ...] = ()

    def __repr__(self) -> str:
        return "LoginItem(...)"  # it holds a token


class ShareParams(Fields, frozen=True):
    """GetShareOrKeyAssign."""

    item: tuple[LoginItem, ...]
    verifieridentifier: str = ""
    temppubx: str = ""
    temppuby: str = ""
    nonce_enc: bool = False
    epoch: Epoch = 0


class EchoedReceipt(Fields, frozen=True):
    """The part of a CommitmentResult that is looked at when it comes back."""

    data: str
    signature: str
    nodepubx: str
    nodepuby: str


class PubNonce(Result, frozen=True):
    x: str
    y: str


class PublicNonce(Result, frozen=True):
    """`nonce_data` of an unauthenticated look-up: never a nonce (torusjs-wire.md 2.2)."""

    pubNonce: PubNonce
    upgraded: bool
    typeOfUser: str = "v2"


class LookupKey(Result, frozen=True):
    pub_key_X: str
    pub_key_Y: str
    address: str
    nonce_data: PublicNonce
    created_at: int


class LookupResult(Result, frozen=True):
    keys: tuple[LookupKey, ...]
    is_new_key: bool
    node_index: str
    server_time_offset: str = "0"


class BareKey(Result, frozen=True):
    key_index: str
    pub_key_X: str
    pub_key_Y: str
    address: str


class VerifierLookupResult(Result, frozen=True):
    keys: tuple[BareKey, ...]
    server_time_offset: str = "0"


class KeyLookupResult(Result, frozen=True):
    key_index: str
    created_at: int
    assigned: bool


class PingResult(Result, frozen=True):
    chain_id: str
    epoch: int
    node_index: int
    height: int


class CommitmentResult(Result, frozen=True):
    signature: str
    data: str
    nodepubx: str
    nodepuby: str
    nodeindex: str
    pub_key_x: str


class SealedMetadata(Result, frozen=True):
    iv: str
    ephemPublicKey: str
    mac: str
    mode: str = "AES256"


class SealedNonce(Result, frozen=True):
    iv: str
    ephemPublicKey: str
    mac: str
    ciphertext: str
    mode: str = "AES256"


class LoginNonce(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`nonce_data` of a login: the nonce in clear for torus.js, sealed for clients that ask `nonce_enc`."""

    pubNonce: PubNonce
    upgraded: bool
    typeOfUser: str
    nonce: str = ""
    nonce_enc: SealedNonce | None = None


class PublicKey(Result, frozen=True):
    X: str
    Y: str


class ShareKey(Result, frozen=True):
    index: str
    public_key: PublicKey
    node_index: str
    share: str
    share_metadata: SealedMetadata
    nonce_data: LoginNonce
    created_at: int
    threshold: str = "1"


class ShareResult(Result, frozen=True):
    keys: tuple[ShareKey, ...]
    session_tokens: tuple[str, ...]
    session_token_metadata: tuple[SealedMetadata, ...]
    session_token_sigs: tuple[str, ...]
    session_token_sig_metadata: tuple[SealedMetadata, ...]
    node_pubx: str
    node_puby: str
    is_new_key: str
    epoch: int
    server_time_offset: str = "0"
