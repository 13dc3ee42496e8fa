from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Curve(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CURVE_UNSPECIFIED: _ClassVar[Curve]
    CURVE_SECP256K1: _ClassVar[Curve]

class Purpose(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PURPOSE_UNSPECIFIED: _ClassVar[Purpose]
    PURPOSE_LOOKUP: _ClassVar[Purpose]
    PURPOSE_LOGIN: _ClassVar[Purpose]
CURVE_UNSPECIFIED: Curve
CURVE_SECP256K1: Curve
PURPOSE_UNSPECIFIED: Purpose
PURPOSE_LOOKUP: Purpose
PURPOSE_LOGIN: Purpose

class SignedTx(_message.Message):
    __slots__ = ("body", "signer", "signature")
    BODY_FIELD_NUMBER: _ClassVar[int]
    SIGNER_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    body: bytes
    signer: bytes
    signature: bytes
    def __init__(self, body: _Optional[bytes] = ..., signer: _Optional[bytes] = ..., signature: _Optional[bytes] = ...) -> None: ...

class TxBody(_message.Message):
    __slots__ = ("chain_id", "version", "epoch", "expiry_height", "enckey", "deal", "ack", "complain", "opened", "fallback_list", "fallback_scalar", "final", "keys", "have", "rdeal", "rtest", "rack", "rcomplain", "ready", "rhave", "assign", "observe", "reject", "ready_node", "erased")
    CHAIN_ID_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    EXPIRY_HEIGHT_FIELD_NUMBER: _ClassVar[int]
    ENCKEY_FIELD_NUMBER: _ClassVar[int]
    DEAL_FIELD_NUMBER: _ClassVar[int]
    ACK_FIELD_NUMBER: _ClassVar[int]
    COMPLAIN_FIELD_NUMBER: _ClassVar[int]
    OPENED_FIELD_NUMBER: _ClassVar[int]
    FALLBACK_LIST_FIELD_NUMBER: _ClassVar[int]
    FALLBACK_SCALAR_FIELD_NUMBER: _ClassVar[int]
    FINAL_FIELD_NUMBER: _ClassVar[int]
    KEYS_FIELD_NUMBER: _ClassVar[int]
    HAVE_FIELD_NUMBER: _ClassVar[int]
    RDEAL_FIELD_NUMBER: _ClassVar[int]
    RTEST_FIELD_NUMBER: _ClassVar[int]
    RACK_FIELD_NUMBER: _ClassVar[int]
    RCOMPLAIN_FIELD_NUMBER: _ClassVar[int]
    READY_FIELD_NUMBER: _ClassVar[int]
    RHAVE_FIELD_NUMBER: _ClassVar[int]
    ASSIGN_FIELD_NUMBER: _ClassVar[int]
    OBSERVE_FIELD_NUMBER: _ClassVar[int]
    REJECT_FIELD_NUMBER: _ClassVar[int]
    READY_NODE_FIELD_NUMBER: _ClassVar[int]
    ERASED_FIELD_NUMBER: _ClassVar[int]
    chain_id: str
    version: int
    epoch: int
    expiry_height: int
    enckey: EncKey
    deal: Deal
    ack: Ack
    complain: Complain
    opened: Opened
    fallback_list: FallbackList
    fallback_scalar: FallbackScalar
    final: Final
    keys: Keys
    have: Have
    rdeal: ReshareDeal
    rtest: ReshareTest
    rack: ReshareAck
    rcomplain: ReshareComplain
    ready: ReshareReady
    rhave: ReshareHave
    assign: Assign
    observe: Observe
    reject: Reject
    ready_node: ReadyNode
    erased: Erased
    def __init__(self, chain_id: _Optional[str] = ..., version: _Optional[int] = ..., epoch: _Optional[int] = ..., expiry_height: _Optional[int] = ..., enckey: _Optional[_Union[EncKey, _Mapping]] = ..., deal: _Optional[_Union[Deal, _Mapping]] = ..., ack: _Optional[_Union[Ack, _Mapping]] = ..., complain: _Optional[_Union[Complain, _Mapping]] = ..., opened: _Optional[_Union[Opened, _Mapping]] = ..., fallback_list: _Optional[_Union[FallbackList, _Mapping]] = ..., fallback_scalar: _Optional[_Union[FallbackScalar, _Mapping]] = ..., final: _Optional[_Union[Final, _Mapping]] = ..., keys: _Optional[_Union[Keys, _Mapping]] = ..., have: _Optional[_Union[Have, _Mapping]] = ..., rdeal: _Optional[_Union[ReshareDeal, _Mapping]] = ..., rtest: _Optional[_Union[ReshareTest, _Mapping]] = ..., rack: _Optional[_Union[ReshareAck, _Mapping]] = ..., rcomplain: _Optional[_Union[ReshareComplain, _Mapping]] = ..., ready: _Optional[_Union[ReshareReady, _Mapping]] = ..., rhave: _Optional[_Union[ReshareHave, _Mapping]] = ..., assign: _Optional[_Union[Assign, _Mapping]] = ..., observe: _Optional[_Union[Observe, _Mapping]] = ..., reject: _Optional[_Union[Reject, _Mapping]] = ..., ready_node: _Optional[_Union[ReadyNode, _Mapping]] = ..., erased: _Optional[_Union[Erased, _Mapping]] = ...) -> None: ...

class EncKeyEntry(_message.Message):
    __slots__ = ("key", "pok")
    KEY_FIELD_NUMBER: _ClassVar[int]
    POK_FIELD_NUMBER: _ClassVar[int]
    key: bytes
    pok: bytes
    def __init__(self, key: _Optional[bytes] = ..., pok: _Optional[bytes] = ...) -> None: ...

class EncKey(_message.Message):
    __slots__ = ("first_counter", "keys", "service_key")
    FIRST_COUNTER_FIELD_NUMBER: _ClassVar[int]
    KEYS_FIELD_NUMBER: _ClassVar[int]
    SERVICE_KEY_FIELD_NUMBER: _ClassVar[int]
    first_counter: int
    keys: _containers.RepeatedCompositeFieldContainer[EncKeyEntry]
    service_key: bytes
    def __init__(self, first_counter: _Optional[int] = ..., keys: _Optional[_Iterable[_Union[EncKeyEntry, _Mapping]]] = ..., service_key: _Optional[bytes] = ...) -> None: ...

class Deal(_message.Message):
    __slots__ = ("sid", "e", "pok", "root", "list_hash", "nonce_hash", "u")
    SID_FIELD_NUMBER: _ClassVar[int]
    E_FIELD_NUMBER: _ClassVar[int]
    POK_FIELD_NUMBER: _ClassVar[int]
    ROOT_FIELD_NUMBER: _ClassVar[int]
    LIST_HASH_FIELD_NUMBER: _ClassVar[int]
    NONCE_HASH_FIELD_NUMBER: _ClassVar[int]
    U_FIELD_NUMBER: _ClassVar[int]
    sid: bytes
    e: bytes
    pok: bytes
    root: bytes
    list_hash: bytes
    nonce_hash: bytes
    u: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, sid: _Optional[bytes] = ..., e: _Optional[bytes] = ..., pok: _Optional[bytes] = ..., root: _Optional[bytes] = ..., list_hash: _Optional[bytes] = ..., nonce_hash: _Optional[bytes] = ..., u: _Optional[_Iterable[bytes]] = ...) -> None: ...

class Ack(_message.Message):
    __slots__ = ("sid", "dealers")
    SID_FIELD_NUMBER: _ClassVar[int]
    DEALERS_FIELD_NUMBER: _ClassVar[int]
    sid: bytes
    dealers: int
    def __init__(self, sid: _Optional[bytes] = ..., dealers: _Optional[int] = ...) -> None: ...

class Complain(_message.Message):
    __slots__ = ("sid", "dealer", "shared", "dleq", "ciphertext", "leaves", "deal_hash")
    SID_FIELD_NUMBER: _ClassVar[int]
    DEALER_FIELD_NUMBER: _ClassVar[int]
    SHARED_FIELD_NUMBER: _ClassVar[int]
    DLEQ_FIELD_NUMBER: _ClassVar[int]
    CIPHERTEXT_FIELD_NUMBER: _ClassVar[int]
    LEAVES_FIELD_NUMBER: _ClassVar[int]
    DEAL_HASH_FIELD_NUMBER: _ClassVar[int]
    sid: bytes
    dealer: int
    shared: bytes
    dleq: bytes
    ciphertext: bytes
    leaves: _containers.RepeatedScalarFieldContainer[bytes]
    deal_hash: bytes
    def __init__(self, sid: _Optional[bytes] = ..., dealer: _Optional[int] = ..., shared: _Optional[bytes] = ..., dleq: _Optional[bytes] = ..., ciphertext: _Optional[bytes] = ..., leaves: _Optional[_Iterable[bytes]] = ..., deal_hash: _Optional[bytes] = ...) -> None: ...

class Opened(_message.Message):
    __slots__ = ("sid", "dealers")
    SID_FIELD_NUMBER: _ClassVar[int]
    DEALERS_FIELD_NUMBER: _ClassVar[int]
    sid: bytes
    dealers: int
    def __init__(self, sid: _Optional[bytes] = ..., dealers: _Optional[int] = ...) -> None: ...

class FallbackList(_message.Message):
    __slots__ = ("sid", "dealer", "list_hash")
    SID_FIELD_NUMBER: _ClassVar[int]
    DEALER_FIELD_NUMBER: _ClassVar[int]
    LIST_HASH_FIELD_NUMBER: _ClassVar[int]
    sid: bytes
    dealer: int
    list_hash: bytes
    def __init__(self, sid: _Optional[bytes] = ..., dealer: _Optional[int] = ..., list_hash: _Optional[bytes] = ...) -> None: ...

class FallbackScalar(_message.Message):
    __slots__ = ("sid", "dealer", "w")
    SID_FIELD_NUMBER: _ClassVar[int]
    DEALER_FIELD_NUMBER: _ClassVar[int]
    W_FIELD_NUMBER: _ClassVar[int]
    sid: bytes
    dealer: int
    w: bytes
    def __init__(self, sid: _Optional[bytes] = ..., dealer: _Optional[int] = ..., w: _Optional[bytes] = ...) -> None: ...

class Final(_message.Message):
    __slots__ = ("sid", "root")
    SID_FIELD_NUMBER: _ClassVar[int]
    ROOT_FIELD_NUMBER: _ClassVar[int]
    sid: bytes
    root: bytes
    def __init__(self, sid: _Optional[bytes] = ..., root: _Optional[bytes] = ...) -> None: ...

class Keys(_message.Message):
    __slots__ = ("sid", "chunk", "keys", "path")
    SID_FIELD_NUMBER: _ClassVar[int]
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    KEYS_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    sid: bytes
    chunk: int
    keys: bytes
    path: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, sid: _Optional[bytes] = ..., chunk: _Optional[int] = ..., keys: _Optional[bytes] = ..., path: _Optional[_Iterable[bytes]] = ...) -> None: ...

class Have(_message.Message):
    __slots__ = ("sid",)
    SID_FIELD_NUMBER: _ClassVar[int]
    sid: bytes
    def __init__(self, sid: _Optional[bytes] = ...) -> None: ...

class ReshareDeal(_message.Message):
    __slots__ = ("rid", "e", "pok", "root")
    RID_FIELD_NUMBER: _ClassVar[int]
    E_FIELD_NUMBER: _ClassVar[int]
    POK_FIELD_NUMBER: _ClassVar[int]
    ROOT_FIELD_NUMBER: _ClassVar[int]
    rid: bytes
    e: bytes
    pok: bytes
    root: bytes
    def __init__(self, rid: _Optional[bytes] = ..., e: _Optional[bytes] = ..., pok: _Optional[bytes] = ..., root: _Optional[bytes] = ...) -> None: ...

class ReshareTest(_message.Message):
    __slots__ = ("rid", "u", "gamma_seed")
    RID_FIELD_NUMBER: _ClassVar[int]
    U_FIELD_NUMBER: _ClassVar[int]
    GAMMA_SEED_FIELD_NUMBER: _ClassVar[int]
    rid: bytes
    u: _containers.RepeatedScalarFieldContainer[bytes]
    gamma_seed: bytes
    def __init__(self, rid: _Optional[bytes] = ..., u: _Optional[_Iterable[bytes]] = ..., gamma_seed: _Optional[bytes] = ...) -> None: ...

class ReshareAck(_message.Message):
    __slots__ = ("rid", "dealers", "sum")
    RID_FIELD_NUMBER: _ClassVar[int]
    DEALERS_FIELD_NUMBER: _ClassVar[int]
    SUM_FIELD_NUMBER: _ClassVar[int]
    rid: bytes
    dealers: int
    sum: bytes
    def __init__(self, rid: _Optional[bytes] = ..., dealers: _Optional[int] = ..., sum: _Optional[bytes] = ...) -> None: ...

class ReshareComplain(_message.Message):
    __slots__ = ("rid", "dealer", "shared", "dleq", "ciphertext", "leaves", "deal_hash")
    RID_FIELD_NUMBER: _ClassVar[int]
    DEALER_FIELD_NUMBER: _ClassVar[int]
    SHARED_FIELD_NUMBER: _ClassVar[int]
    DLEQ_FIELD_NUMBER: _ClassVar[int]
    CIPHERTEXT_FIELD_NUMBER: _ClassVar[int]
    LEAVES_FIELD_NUMBER: _ClassVar[int]
    DEAL_HASH_FIELD_NUMBER: _ClassVar[int]
    rid: bytes
    dealer: int
    shared: bytes
    dleq: bytes
    ciphertext: bytes
    leaves: _containers.RepeatedScalarFieldContainer[bytes]
    deal_hash: bytes
    def __init__(self, rid: _Optional[bytes] = ..., dealer: _Optional[int] = ..., shared: _Optional[bytes] = ..., dleq: _Optional[bytes] = ..., ciphertext: _Optional[bytes] = ..., leaves: _Optional[_Iterable[bytes]] = ..., deal_hash: _Optional[bytes] = ...) -> None: ...

class ReshareReady(_message.Message):
    __slots__ = ("rid", "hash")
    RID_FIELD_NUMBER: _ClassVar[int]
    HASH_FIELD_NUMBER: _ClassVar[int]
    rid: bytes
    hash: bytes
    def __init__(self, rid: _Optional[bytes] = ..., hash: _Optional[bytes] = ...) -> None: ...

class ReshareHave(_message.Message):
    __slots__ = ("rid",)
    RID_FIELD_NUMBER: _ClassVar[int]
    rid: bytes
    def __init__(self, rid: _Optional[bytes] = ...) -> None: ...

class Reject(_message.Message):
    __slots__ = ("epoch", "record_hash")
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    RECORD_HASH_FIELD_NUMBER: _ClassVar[int]
    epoch: int
    record_hash: bytes
    def __init__(self, epoch: _Optional[int] = ..., record_hash: _Optional[bytes] = ...) -> None: ...

class ReadyNode(_message.Message):
    __slots__ = ("epoch", "height", "app_hash", "service_key")
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    APP_HASH_FIELD_NUMBER: _ClassVar[int]
    SERVICE_KEY_FIELD_NUMBER: _ClassVar[int]
    epoch: int
    height: int
    app_hash: bytes
    service_key: bytes
    def __init__(self, epoch: _Optional[int] = ..., height: _Optional[int] = ..., app_hash: _Optional[bytes] = ..., service_key: _Optional[bytes] = ...) -> None: ...

class Erased(_message.Message):
    __slots__ = ("epoch",)
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    epoch: int
    def __init__(self, epoch: _Optional[int] = ...) -> None: ...

class Assign(_message.Message):
    __slots__ = ("verifier", "account_id", "curve", "number", "purpose")
    VERIFIER_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_ID_FIELD_NUMBER: _ClassVar[int]
    CURVE_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    PURPOSE_FIELD_NUMBER: _ClassVar[int]
    verifier: str
    account_id: bytes
    curve: Curve
    number: int
    purpose: Purpose
    def __init__(self, verifier: _Optional[str] = ..., account_id: _Optional[bytes] = ..., curve: _Optional[_Union[Curve, str]] = ..., number: _Optional[int] = ..., purpose: _Optional[_Union[Purpose, str]] = ...) -> None: ...

class Observe(_message.Message):
    __slots__ = ("record",)
    RECORD_FIELD_NUMBER: _ClassVar[int]
    record: bytes
    def __init__(self, record: _Optional[bytes] = ...) -> None: ...

class Record(_message.Message):
    __slots__ = ("epoch", "verifier")
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    VERIFIER_FIELD_NUMBER: _ClassVar[int]
    epoch: EpochRecord
    verifier: VerifierRecord
    def __init__(self, epoch: _Optional[_Union[EpochRecord, _Mapping]] = ..., verifier: _Optional[_Union[VerifierRecord, _Mapping]] = ...) -> None: ...

class Member(_message.Message):
    __slots__ = ("index", "operator", "identity", "consensus", "peer_id", "p2p_addr", "comet_addr", "endpoint")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    OPERATOR_FIELD_NUMBER: _ClassVar[int]
    IDENTITY_FIELD_NUMBER: _ClassVar[int]
    CONSENSUS_FIELD_NUMBER: _ClassVar[int]
    PEER_ID_FIELD_NUMBER: _ClassVar[int]
    P2P_ADDR_FIELD_NUMBER: _ClassVar[int]
    COMET_ADDR_FIELD_NUMBER: _ClassVar[int]
    ENDPOINT_FIELD_NUMBER: _ClassVar[int]
    index: int
    operator: str
    identity: bytes
    consensus: bytes
    peer_id: str
    p2p_addr: str
    comet_addr: str
    endpoint: str
    def __init__(self, index: _Optional[int] = ..., operator: _Optional[str] = ..., identity: _Optional[bytes] = ..., consensus: _Optional[bytes] = ..., peer_id: _Optional[str] = ..., p2p_addr: _Optional[str] = ..., comet_addr: _Optional[str] = ..., endpoint: _Optional[str] = ...) -> None: ...

class EpochRecord(_message.Message):
    __slots__ = ("epoch", "n", "k", "t", "members", "previous", "next", "notice_s", "aborted")
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    N_FIELD_NUMBER: _ClassVar[int]
    K_FIELD_NUMBER: _ClassVar[int]
    T_FIELD_NUMBER: _ClassVar[int]
    MEMBERS_FIELD_NUMBER: _ClassVar[int]
    PREVIOUS_FIELD_NUMBER: _ClassVar[int]
    NEXT_FIELD_NUMBER: _ClassVar[int]
    NOTICE_S_FIELD_NUMBER: _ClassVar[int]
    ABORTED_FIELD_NUMBER: _ClassVar[int]
    epoch: int
    n: int
    k: int
    t: int
    members: _containers.RepeatedCompositeFieldContainer[Member]
    previous: int
    next: int
    notice_s: int
    aborted: bool
    def __init__(self, epoch: _Optional[int] = ..., n: _Optional[int] = ..., k: _Optional[int] = ..., t: _Optional[int] = ..., members: _Optional[_Iterable[_Union[Member, _Mapping]]] = ..., previous: _Optional[int] = ..., next: _Optional[int] = ..., notice_s: _Optional[int] = ..., aborted: _Optional[bool] = ...) -> None: ...

class Audience(_message.Message):
    __slots__ = ("aud", "mode")
    AUD_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    aud: str
    mode: str
    def __init__(self, aud: _Optional[str] = ..., mode: _Optional[str] = ...) -> None: ...

class VerifierRecord(_message.Message):
    __slots__ = ("name", "version", "issuer", "jwks_url", "audiences", "id_claim", "case_rule", "algorithms", "iat_limit_s", "session_claim", "owner", "removed")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    ISSUER_FIELD_NUMBER: _ClassVar[int]
    JWKS_URL_FIELD_NUMBER: _ClassVar[int]
    AUDIENCES_FIELD_NUMBER: _ClassVar[int]
    ID_CLAIM_FIELD_NUMBER: _ClassVar[int]
    CASE_RULE_FIELD_NUMBER: _ClassVar[int]
    ALGORITHMS_FIELD_NUMBER: _ClassVar[int]
    IAT_LIMIT_S_FIELD_NUMBER: _ClassVar[int]
    SESSION_CLAIM_FIELD_NUMBER: _ClassVar[int]
    OWNER_FIELD_NUMBER: _ClassVar[int]
    REMOVED_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: int
    issuer: str
    jwks_url: str
    audiences: _containers.RepeatedCompositeFieldContainer[Audience]
    id_claim: str
    case_rule: str
    algorithms: _containers.RepeatedScalarFieldContainer[str]
    iat_limit_s: int
    session_claim: str
    owner: str
    removed: bool
    def __init__(self, name: _Optional[str] = ..., version: _Optional[int] = ..., issuer: _Optional[str] = ..., jwks_url: _Optional[str] = ..., audiences: _Optional[_Iterable[_Union[Audience, _Mapping]]] = ..., id_claim: _Optional[str] = ..., case_rule: _Optional[str] = ..., algorithms: _Optional[_Iterable[str]] = ..., iat_limit_s: _Optional[int] = ..., session_claim: _Optional[str] = ..., owner: _Optional[str] = ..., removed: _Optional[bool] = ...) -> None: ...
