"""Every refusal of the network has one code here; docs/errors.md gives cause and cure.

The same code is used on the chain, on JSON-RPC and on the command line. The number is what ABCI and
consensus see: it is hashed into blocks, so a number is never changed or used again.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any


class Code(StrEnum):
    """Refusal codes. Append only; the order gives the numbers (first = 1)."""

    # bytes and messages
    DECODE = "DECODE"
    TOO_LARGE = "TOO_LARGE"
    BAD_SIGNATURE = "BAD_SIGNATURE"
    WRONG_CHAIN = "WRONG_CHAIN"
    WRONG_VERSION = "WRONG_VERSION"
    WRONG_EPOCH = "WRONG_EPOCH"
    EXPIRED = "EXPIRED"
    EXPIRY_TOO_FAR = "EXPIRY_TOO_FAR"
    SEEN_BEFORE = "SEEN_BEFORE"
    NOT_A_MEMBER = "NOT_A_MEMBER"
    MALFORMED = "MALFORMED"
    # key generation
    UNKNOWN_SESSION = "UNKNOWN_SESSION"
    WRONG_PHASE = "WRONG_PHASE"
    ALREADY_DONE = "ALREADY_DONE"
    NO_NEW_BITS = "NO_NEW_BITS"
    BAD_PROOF = "BAD_PROOF"
    NO_ENCKEY = "NO_ENCKEY"
    BAD_COUNTER = "BAD_COUNTER"
    ROOT_MISMATCH = "ROOT_MISMATCH"
    NOT_A_DEALER = "NOT_A_DEALER"
    # accounts and pool
    ACCOUNT_HAS_KEY = "ACCOUNT_HAS_KEY"
    ACCOUNT_NOT_FOUND = "ACCOUNT_NOT_FOUND"
    POOL_EMPTY = "POOL_EMPTY"
    POOL_RESERVED = "POOL_RESERVED"
    QUOTA_EXCEEDED = "QUOTA_EXCEEDED"
    UNSUPPORTED_CURVE = "UNSUPPORTED_CURVE"
    # registry records
    RECORD_REFUSED = "RECORD_REFUSED"
    RECORD_STALE = "RECORD_STALE"
    ALREADY_VOTED = "ALREADY_VOTED"
    GENESIS_MISMATCH = "GENESIS_MISMATCH"
    # queries
    UNKNOWN_PATH = "UNKNOWN_PATH"
    NOT_FOUND = "NOT_FOUND"
    HEIGHT_UNAVAILABLE = "HEIGHT_UNAVAILABLE"
    # verifiers and tokens
    VERIFIER_UNKNOWN = "VERIFIER_UNKNOWN"
    TOKEN_MALFORMED = "TOKEN_MALFORMED"
    TOKEN_ALGORITHM = "TOKEN_ALGORITHM"
    TOKEN_SIGNATURE = "TOKEN_SIGNATURE"
    TOKEN_KEY_UNKNOWN = "TOKEN_KEY_UNKNOWN"
    TOKEN_ISSUER = "TOKEN_ISSUER"
    TOKEN_AUDIENCE = "TOKEN_AUDIENCE"
    TOKEN_EXPIRED = "TOKEN_EXPIRED"
    TOKEN_NOT_YET_VALID = "TOKEN_NOT_YET_VALID"
    TOKEN_TOO_OLD = "TOKEN_TOO_OLD"
    TOKEN_SUBJECT = "TOKEN_SUBJECT"
    TOKEN_UNBOUND = "TOKEN_UNBOUND"
    TOKEN_MODE = "TOKEN_MODE"
    EMAIL_NOT_VERIFIED = "EMAIL_NOT_VERIFIED"
    DUPLICATE_TOKEN = "DUPLICATE_TOKEN"
    RECEIPTS_TOO_FEW = "RECEIPTS_TOO_FEW"
    RECEIPT_LOG_FULL = "RECEIPT_LOG_FULL"
    RECEIPT_LOG_YOUNG = "RECEIPT_LOG_YOUNG"
    EPOCH_MOVED = "EPOCH_MOVED"
    CHAIN_STALE = "CHAIN_STALE"
    SHARE_MISSING = "SHARE_MISSING"
    # doors
    RATE_LIMITED = "RATE_LIMITED"
    BUSY = "BUSY"
    UNKNOWN_METHOD = "UNKNOWN_METHOD"
    BAD_PARAMS = "BAD_PARAMS"
    FORBIDDEN = "FORBIDDEN"
    UNAVAILABLE = "UNAVAILABLE"
    TIMEOUT = "TIMEOUT"
    INTERNAL = "INTERNAL"
    # operator
    CONFIG = "CONFIG"
    FILE_MODE = "FILE_MODE"
    WRONG_PASSPHRASE = "WRONG_PASSPHRASE"
    KEYSTORE_DAMAGED = "KEYSTORE_DAMAGED"
    FORK_SEEN = "FORK_SEEN"
    NOT_DEV = "NOT_DEV"
    # client
    TOO_FEW_NODES = "TOO_FEW_NODES"
    NODES_DISAGREE = "NODES_DISAGREE"
    BAD_NODE_ANSWER = "BAD_NODE_ANSWER"
    NETWORK_DOWN = "NETWORK_DOWN"
    # registry contract
    REGISTRY_REFUSED = "REGISTRY_REFUSED"
    REGISTRY_MISSING = "REGISTRY_MISSING"
    REGISTRY_MISMATCH = "REGISTRY_MISMATCH"
    REGISTRATION_CONFLICT = "REGISTRATION_CONFLICT"
    EPOCH_NOT_STARTED = "EPOCH_NOT_STARTED"
    # complaints
    CONVICTED = "CONVICTED"
    RECOVERY_CLOSED = "RECOVERY_CLOSED"
    EVIDENCE_INVALID = "EVIDENCE_INVALID"
    # epochs
    NO_HANDOVER = "NO_HANDOVER"
    EPOCH_REJECTED = "EPOCH_REJECTED"
    APP_HASH_UNKNOWN = "APP_HASH_UNKNOWN"
    BAD_SUM = "BAD_SUM"
    SNAPSHOT_INVALID = "SNAPSHOT_INVALID"
    EXPORT_INVALID = "EXPORT_INVALID"
    BACKUP_INVALID = "BACKUP_INVALID"
    EPOCH_STUCK = "EPOCH_STUCK"
    SELF_TEST_FAILED = "SELF_TEST_FAILED"


_NUMBERS = {code: number for number, code in enumerate(Code, start=1)}


def number(code: Code) -> int:
    """The uint32 that ABCI results carry for `code`; 0 is kept for "ok"."""
    return _NUMBERS[code]


class AuthnetError(Exception):
    """A refusal: a code, one sentence for people, and facts that never hold a secret."""

    def __init__(self, code: Code, message: str = "", **detail: Any) -> None:
        super().__init__(message or code.value)
        self.code = code
        self.message = message or code.value
        self.detail = detail


class Rejected(AuthnetError):
    """A transaction that the rules refuse. Nothing changed."""


class DecodeError(AuthnetError):
    """Bytes that are no message of ours."""

    def __init__(self, message: str, code: Code = Code.DECODE, **detail: Any) -> None:
        super().__init__(code, message, **detail)


class ConfigError(AuthnetError):
    """An operator's mistake; the message starts with the dotted name of the setting."""

    def __init__(self, message: str, code: Code = Code.CONFIG, **detail: Any) -> None:
        super().__init__(code, message, **detail)
