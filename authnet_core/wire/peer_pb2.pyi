from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Frame(_message.Message):
    __slots__ = ("hello", "ping", "bundle", "point_list", "want_bundle", "want_list", "parts", "want_parts", "recovery", "want_recovery", "reshare_bundle", "want_reshare_bundle", "receipt_ask", "receipt_answer", "reshare_recovery", "want_reshare_recovery", "nonces", "want_nonces", "point_ask", "point_answer")
    HELLO_FIELD_NUMBER: _ClassVar[int]
    PING_FIELD_NUMBER: _ClassVar[int]
    BUNDLE_FIELD_NUMBER: _ClassVar[int]
    POINT_LIST_FIELD_NUMBER: _ClassVar[int]
    WANT_BUNDLE_FIELD_NUMBER: _ClassVar[int]
    WANT_LIST_FIELD_NUMBER: _ClassVar[int]
    PARTS_FIELD_NUMBER: _ClassVar[int]
    WANT_PARTS_FIELD_NUMBER: _ClassVar[int]
    RECOVERY_FIELD_NUMBER: _ClassVar[int]
    WANT_RECOVERY_FIELD_NUMBER: _ClassVar[int]
    RESHARE_BUNDLE_FIELD_NUMBER: _ClassVar[int]
    WANT_RESHARE_BUNDLE_FIELD_NUMBER: _ClassVar[int]
    RECEIPT_ASK_FIELD_NUMBER: _ClassVar[int]
    RECEIPT_ANSWER_FIELD_NUMBER: _ClassVar[int]
    RESHARE_RECOVERY_FIELD_NUMBER: _ClassVar[int]
    WANT_RESHARE_RECOVERY_FIELD_NUMBER: _ClassVar[int]
    NONCES_FIELD_NUMBER: _ClassVar[int]
    WANT_NONCES_FIELD_NUMBER: _ClassVar[int]
    POINT_ASK_FIELD_NUMBER: _ClassVar[int]
    POINT_ANSWER_FIELD_NUMBER: _ClassVar[int]
    hello: Hello
    ping: Ping
    bundle: Bundle
    point_list: PointList
    want_bundle: Want
    want_list: Want
    parts: Parts
    want_parts: WantParts
    recovery: Recovery
    want_recovery: Want
    reshare_bundle: ReshareBundle
    want_reshare_bundle: ReshareWant
    receipt_ask: ReceiptAsk
    receipt_answer: ReceiptAnswer
    reshare_recovery: ReshareRecovery
    want_reshare_recovery: ReshareWant
    nonces: Nonces
    want_nonces: WantNonces
    point_ask: PointAsk
    point_answer: PointAnswer
    def __init__(self, hello: _Optional[_Union[Hello, _Mapping]] = ..., ping: _Optional[_Union[Ping, _Mapping]] = ..., bundle: _Optional[_Union[Bundle, _Mapping]] = ..., point_list: _Optional[_Union[PointList, _Mapping]] = ..., want_bundle: _Optional[_Union[Want, _Mapping]] = ..., want_list: _Optional[_Union[Want, _Mapping]] = ..., parts: _Optional[_Union[Parts, _Mapping]] = ..., want_parts: _Optional[_Union[WantParts, _Mapping]] = ..., recovery: _Optional[_Union[Recovery, _Mapping]] = ..., want_recovery: _Optional[_Union[Want, _Mapping]] = ..., reshare_bundle: _Optional[_Union[ReshareBundle, _Mapping]] = ..., want_reshare_bundle: _Optional[_Union[ReshareWant, _Mapping]] = ..., receipt_ask: _Optional[_Union[ReceiptAsk, _Mapping]] = ..., receipt_answer: _Optional[_Union[ReceiptAnswer, _Mapping]] = ..., reshare_recovery: _Optional[_Union[ReshareRecovery, _Mapping]] = ..., want_reshare_recovery: _Optional[_Union[ReshareWant, _Mapping]] = ..., nonces: _Optional[_Union[Nonces, _Mapping]] = ..., want_nonces: _Optional[_Union[WantNonces, _Mapping]] = ..., point_ask: _Optional[_Union[PointAsk, _Mapping]] = ..., point_answer: _Optional[_Union[PointAnswer, _Mapping]] = ...) -> None: ...

class Hello(_message.Message):
    __slots__ = ("chain_id", "version", "epoch", "committee_hash", "index")
    CHAIN_ID_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    COMMITTEE_HASH_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    chain_id: str
    version: int
    epoch: int
    committee_hash: bytes
    index: int
    def __init__(self, chain_id: _Optional[str] = ..., version: _Optional[int] = ..., epoch: _Optional[int] = ..., committee_hash: _Optional[bytes] = ..., index: _Optional[int] = ...) -> None: ...

class Ping(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Bundle(_message.Message):
    __slots__ = ("sid", "dealer", "leaves", "ciphertexts")
    SID_FIELD_NUMBER: _ClassVar[int]
    DEALER_FIELD_NUMBER: _ClassVar[int]
    LEAVES_FIELD_NUMBER: _ClassVar[int]
    CIPHERTEXTS_FIELD_NUMBER: _ClassVar[int]
    sid: bytes
    dealer: int
    leaves: _containers.RepeatedScalarFieldContainer[bytes]
    ciphertexts: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, sid: _Optional[bytes] = ..., dealer: _Optional[int] = ..., leaves: _Optional[_Iterable[bytes]] = ..., ciphertexts: _Optional[_Iterable[bytes]] = ...) -> None: ...

class PointList(_message.Message):
    __slots__ = ("sid", "dealer", "salt", "points64")
    SID_FIELD_NUMBER: _ClassVar[int]
    DEALER_FIELD_NUMBER: _ClassVar[int]
    SALT_FIELD_NUMBER: _ClassVar[int]
    POINTS64_FIELD_NUMBER: _ClassVar[int]
    sid: bytes
    dealer: int
    salt: bytes
    points64: bytes
    def __init__(self, sid: _Optional[bytes] = ..., dealer: _Optional[int] = ..., salt: _Optional[bytes] = ..., points64: _Optional[bytes] = ...) -> None: ...

class Want(_message.Message):
    __slots__ = ("sid", "dealer")
    SID_FIELD_NUMBER: _ClassVar[int]
    DEALER_FIELD_NUMBER: _ClassVar[int]
    sid: bytes
    dealer: int
    def __init__(self, sid: _Optional[bytes] = ..., dealer: _Optional[int] = ...) -> None: ...

class Parts(_message.Message):
    __slots__ = ("sid", "dealer", "holder", "points64")
    SID_FIELD_NUMBER: _ClassVar[int]
    DEALER_FIELD_NUMBER: _ClassVar[int]
    HOLDER_FIELD_NUMBER: _ClassVar[int]
    POINTS64_FIELD_NUMBER: _ClassVar[int]
    sid: bytes
    dealer: int
    holder: int
    points64: bytes
    def __init__(self, sid: _Optional[bytes] = ..., dealer: _Optional[int] = ..., holder: _Optional[int] = ..., points64: _Optional[bytes] = ...) -> None: ...

class WantParts(_message.Message):
    __slots__ = ("sid", "dealer", "holder")
    SID_FIELD_NUMBER: _ClassVar[int]
    DEALER_FIELD_NUMBER: _ClassVar[int]
    HOLDER_FIELD_NUMBER: _ClassVar[int]
    sid: bytes
    dealer: int
    holder: int
    def __init__(self, sid: _Optional[bytes] = ..., dealer: _Optional[int] = ..., holder: _Optional[int] = ...) -> None: ...

class Recovery(_message.Message):
    __slots__ = ("sid", "dealer", "shared", "dleq")
    SID_FIELD_NUMBER: _ClassVar[int]
    DEALER_FIELD_NUMBER: _ClassVar[int]
    SHARED_FIELD_NUMBER: _ClassVar[int]
    DLEQ_FIELD_NUMBER: _ClassVar[int]
    sid: bytes
    dealer: int
    shared: bytes
    dleq: bytes
    def __init__(self, sid: _Optional[bytes] = ..., dealer: _Optional[int] = ..., shared: _Optional[bytes] = ..., dleq: _Optional[bytes] = ...) -> None: ...

class ReshareBundle(_message.Message):
    __slots__ = ("rid", "dealer", "leaves", "ciphertexts")
    RID_FIELD_NUMBER: _ClassVar[int]
    DEALER_FIELD_NUMBER: _ClassVar[int]
    LEAVES_FIELD_NUMBER: _ClassVar[int]
    CIPHERTEXTS_FIELD_NUMBER: _ClassVar[int]
    rid: bytes
    dealer: int
    leaves: _containers.RepeatedScalarFieldContainer[bytes]
    ciphertexts: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, rid: _Optional[bytes] = ..., dealer: _Optional[int] = ..., leaves: _Optional[_Iterable[bytes]] = ..., ciphertexts: _Optional[_Iterable[bytes]] = ...) -> None: ...

class ReshareWant(_message.Message):
    __slots__ = ("rid", "dealer")
    RID_FIELD_NUMBER: _ClassVar[int]
    DEALER_FIELD_NUMBER: _ClassVar[int]
    rid: bytes
    dealer: int
    def __init__(self, rid: _Optional[bytes] = ..., dealer: _Optional[int] = ...) -> None: ...

class ReshareRecovery(_message.Message):
    __slots__ = ("rid", "dealer", "shared", "dleq")
    RID_FIELD_NUMBER: _ClassVar[int]
    DEALER_FIELD_NUMBER: _ClassVar[int]
    SHARED_FIELD_NUMBER: _ClassVar[int]
    DLEQ_FIELD_NUMBER: _ClassVar[int]
    rid: bytes
    dealer: int
    shared: bytes
    dleq: bytes
    def __init__(self, rid: _Optional[bytes] = ..., dealer: _Optional[int] = ..., shared: _Optional[bytes] = ..., dleq: _Optional[bytes] = ...) -> None: ...

class Nonces(_message.Message):
    __slots__ = ("rid", "nonces")
    RID_FIELD_NUMBER: _ClassVar[int]
    NONCES_FIELD_NUMBER: _ClassVar[int]
    rid: bytes
    nonces: bytes
    def __init__(self, rid: _Optional[bytes] = ..., nonces: _Optional[bytes] = ...) -> None: ...

class WantNonces(_message.Message):
    __slots__ = ("rid",)
    RID_FIELD_NUMBER: _ClassVar[int]
    rid: bytes
    def __init__(self, rid: _Optional[bytes] = ...) -> None: ...

class ReceiptAsk(_message.Message):
    __slots__ = ("id", "token_hash", "temp_pub")
    ID_FIELD_NUMBER: _ClassVar[int]
    TOKEN_HASH_FIELD_NUMBER: _ClassVar[int]
    TEMP_PUB_FIELD_NUMBER: _ClassVar[int]
    id: int
    token_hash: bytes
    temp_pub: bytes
    def __init__(self, id: _Optional[int] = ..., token_hash: _Optional[bytes] = ..., temp_pub: _Optional[bytes] = ...) -> None: ...

class ReceiptAnswer(_message.Message):
    __slots__ = ("id", "data", "signature", "node_pub")
    ID_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    NODE_PUB_FIELD_NUMBER: _ClassVar[int]
    id: int
    data: str
    signature: bytes
    node_pub: bytes
    def __init__(self, id: _Optional[int] = ..., data: _Optional[str] = ..., signature: _Optional[bytes] = ..., node_pub: _Optional[bytes] = ...) -> None: ...

class PointAsk(_message.Message):
    __slots__ = ("id", "epoch", "indexes")
    ID_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    INDEXES_FIELD_NUMBER: _ClassVar[int]
    id: int
    epoch: int
    indexes: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, id: _Optional[int] = ..., epoch: _Optional[int] = ..., indexes: _Optional[_Iterable[int]] = ...) -> None: ...

class PointAnswer(_message.Message):
    __slots__ = ("id", "epoch", "points")
    ID_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    POINTS_FIELD_NUMBER: _ClassVar[int]
    id: int
    epoch: int
    points: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, id: _Optional[int] = ..., epoch: _Optional[int] = ..., points: _Optional[_Iterable[bytes]] = ...) -> None: ...
