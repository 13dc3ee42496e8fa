"""What to do about a refusal: one sentence per code, the same on JSON-RPC and on the command line.

Pure. docs/errors.md is the same table with causes; a test keeps the two alike.
"""

from __future__ import annotations

from authnet_core.errors import Code

_ASK_OPERATOR = "Look at this node's log; if it stays, tell its operator."
_NEW_TOKEN = "Log in at the identity provider again and use the new token."
_LATER = "Try again in a few seconds."

_CURES: dict[Code, str] = {
    Code.DECODE: "Send bytes as the protocol page describes them.",
    Code.TOO_LARGE: "Send less: the limit is in the message.",
    Code.MALFORMED: "Send one JSON-RPC 2.0 object with method and params.",
    Code.BAD_PARAMS: "Correct the named parameter.",
    Code.UNKNOWN_METHOD: "Use one of the methods of docs/protocol/api.md.",
    Code.UNKNOWN_PATH: "Use one of the paths of docs/protocol/api.md.",
    Code.NOT_FOUND: "Check the name or number that was asked for.",
    Code.HEIGHT_UNAVAILABLE: "Ask for a newer height.",
    Code.VERIFIER_UNKNOWN: "Use a verifier that the registry lists, spelled as there.",
    Code.ACCOUNT_NOT_FOUND: "Look the account up once with assignment, or log in: either gives it a key.",
    Code.ACCOUNT_HAS_KEY: "Nothing to do: the account has its key already.",
    Code.POOL_EMPTY: "Try again in some seconds: the nodes are making keys.",
    Code.POOL_RESERVED: "Try again in some seconds: the last free keys are kept for logins.",
    Code.QUOTA_EXCEEDED: "Try again within a minute, or at another node.",
    Code.UNSUPPORTED_CURVE: "Ask for a secp256k1 key.",
    Code.TOKEN_MALFORMED: "Send the token exactly as the identity provider gave it.",
    Code.TOKEN_ALGORITHM: "Have the provider sign with an algorithm that the verifier's record lists.",
    Code.TOKEN_SIGNATURE: _NEW_TOKEN,
    Code.TOKEN_KEY_UNKNOWN: _NEW_TOKEN,
    Code.TOKEN_ISSUER: "Use a token of the provider that the verifier's record names.",
    Code.TOKEN_AUDIENCE: "Use a token for an audience that the verifier's record names.",
    Code.TOKEN_EXPIRED: _NEW_TOKEN,
    Code.TOKEN_NOT_YET_VALID: "Check the clocks; then log in at the provider again.",
    Code.TOKEN_TOO_OLD: _NEW_TOKEN,
    Code.TOKEN_SUBJECT: "Ask for the account that the token was made for.",
    Code.TOKEN_UNBOUND: "Get a token whose nonce is this session's, or log in in two rounds.",
    Code.TOKEN_MODE: "Use the other login mode: an audience is either bound or two-round.",
    Code.EMAIL_NOT_VERIFIED: "Confirm the e-mail address at the identity provider.",
    Code.DUPLICATE_TOKEN: "This token was used with another session key: get a new one.",
    Code.RECEIPTS_TOO_FEW: "Collect receipts of n - t nodes for one session key and send them within 120 s.",
    Code.RECEIPT_LOG_FULL: "Log in with a bound token, or try again when old receipts have run out.",
    Code.RECEIPT_LOG_YOUNG: "Log in with a bound token, or wait until this node's log covers a token's age.",
    Code.EPOCH_MOVED: "Ask for the node list again and log in at the new committee.",
    Code.CHAIN_STALE: "Try again when the node has caught up with the chain.",
    Code.SHARE_MISSING: "Nothing to do: other nodes hold shares of this key; this one is catching up.",
    Code.RATE_LIMITED: "Slow down; a request a second is always served.",
    Code.BUSY: _LATER,
    Code.FORBIDDEN: "This call is not open to you.",
    Code.UNAVAILABLE: "Try again in a few seconds, or at another node.",
    Code.TIMEOUT: _LATER,
    Code.INTERNAL: _ASK_OPERATOR,
    Code.CONFIG: "Correct the named setting and start again.",
    Code.FILE_MODE: "Make the file readable by its owner only: chmod 600.",
    Code.WRONG_PASSPHRASE: "Start with the passphrase the keystore was made with.",
    Code.KEYSTORE_DAMAGED: "Restore nothing: stop the node and read the chapter on damaged keystores.",
    Code.FORK_SEEN: "Leave the node stopped and compare its blocks with the other nodes'.",
    Code.NOT_DEV: "This works on a network whose genesis says dev only.",
    Code.TOO_FEW_NODES: "Wait until more nodes are back: `authnet localnet status` shows them.",
    Code.NODES_DISAGREE: "Do not use the answer; tell the operators of the named nodes.",
    Code.BAD_NODE_ANSWER: "Do not use the answer; tell the operator of the named node.",
    Code.NETWORK_DOWN: "Check that the network is up: `authnet localnet status`.",
    Code.BAD_SIGNATURE: "Sign the exact bytes with the node's identity key.",
    Code.WRONG_CHAIN: "Point the sender at the right network.",
    Code.WRONG_VERSION: "Run the version the committee runs.",
    Code.WRONG_EPOCH: "Read `/epoch/current` and send again.",
    Code.EXPIRED: "The keeper sends it again with a new height; check that the node is in sync.",
    Code.EXPIRY_TOO_FAR: "Use an expiry within 100 heights.",
    Code.SEEN_BEFORE: "Nothing to do: its effect is there.",
    Code.NOT_A_MEMBER: "Check the registry's record of the epoch.",
    Code.UNKNOWN_SESSION: "Read `/sessions`.",
    Code.WRONG_PHASE: "Nothing to do: it came too early or too late.",
    Code.ALREADY_DONE: "Nothing to do.",
    Code.NO_NEW_BITS: "Nothing to do.",
    Code.BAD_PROOF: "The sender is faulty or hostile; look at its logs.",
    Code.NO_ENCKEY: "It takes part from the next session on.",
    Code.BAD_COUNTER: "Post keys for the next counters.",
    Code.ROOT_MISMATCH: "The sender is faulty or hostile.",
    Code.NOT_A_DEALER: "The sender is faulty or hostile.",
    Code.RECORD_REFUSED: "Correct the record in the registry.",
    Code.RECORD_STALE: "Nothing to do.",
    Code.ALREADY_VOTED: "Nothing to do.",
    Code.GENESIS_MISMATCH: "Build genesis again from the registry, or correct the registry.",
    Code.REGISTRY_REFUSED: "Correct what the error names (docs/operate/registry.md lists them).",
    Code.REGISTRY_MISSING: "Check `ethereum.registry` and `ethereum.rpc`; the network keeps serving meanwhile.",
    Code.REGISTRY_MISMATCH: "Correct the setting that the message names.",
    Code.REGISTRATION_CONFLICT: "Restore the node's keys, or have the owner remove the operator before it starts.",
    Code.CONVICTED: "Nothing to do: this member lied in this epoch; `authnet blame show` has the evidence.",
    Code.RECOVERY_CLOSED: "Nothing to do: the node stays short of this session's shares until the next refresh.",
    Code.EVIDENCE_INVALID: "Convict nobody by it; fetch it again with `authnet blame show --number N --out FILE`.",
    Code.EPOCH_NOT_STARTED: "Wait for the other operators; `waiting_for` in the epoch manager's status names them.",
}


def cure(code: Code) -> str:
    """One sentence that says what the person who got `code` can do."""
    return _CURES[code]
