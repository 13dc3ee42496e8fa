"""What a token must say: its header and its claims against the verifier's record (retrieval.md section 4).

Pure: the time is an argument. No message holds a claim's value, for ids are personal.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import Any, NoReturn

from authnet_core.crypto.jose_text import TokenText, malformed
from authnet_core.errors import AuthnetError, Code
from authnet_core.protocol.accounts import canonical_id
from authnet_core.protocol.views import VerifierView
from p2p_dkg.login.key_set import ALGORITHMS, TWO_ROUND_ALGORITHMS

BOUND, TWO_ROUND = "bound", "two-round"
EXP_SKEW_S = 10
SKEW_S = 60
_MAX_KID = 256
_FAR = 2.0**53


@dataclass(frozen=True, slots=True)
class Header:
    """The part of a token's header that we go by. Keys and URLs a token brings along are never looked at."""

    algorithm: str
    kid: str | None


@dataclass(frozen=True, slots=True)
class Claims:
    """A token that says the right things."""

    mode: str
    """The audience's: `bound` or `two-round`."""
    user: str
    """The id in canonical form."""
    iat: float


def read_header(token: TokenText, record: VerifierView) -> Header:
    """Which algorithm and key the token names; only what the verifier's record allows passes."""
    header = token.header
    algorithm, kid, kind = header.get("alg"), header.get("kid"), header.get("typ", "JWT")
    if not isinstance(algorithm, str) or algorithm not in ALGORITHMS or algorithm not in record.algorithms:
        raise AuthnetError(Code.TOKEN_ALGORITHM, "the verifier does not allow the token's algorithm")
    if "crit" in header or "b64" in header:
        malformed("the token's header asks for an extension of JWS")
    if kid is not None and (not isinstance(kid, str) or not kid or len(kid) > _MAX_KID):
        malformed("the token's kid is not a short text")
    if not isinstance(kind, str) or kind.lower().removeprefix("application/") != "jwt":
        malformed("the token's typ says that it is not for logging in")
    return Header(algorithm, kid)


def check_claims(token: TokenText, record: VerifierView, asked: str, now_s: float) -> Claims:
    """Check a token whose signature is good. `asked` is the canonical id whose key is asked for."""
    claims = token.claims
    if not equal_text(claims.get("iss"), record.issuer):
        raise AuthnetError(Code.TOKEN_ISSUER, "the token is of another issuer")
    mode = _audience_mode(claims.get("aud"), record)
    if mode == TWO_ROUND and token.header.get("alg") not in TWO_ROUND_ALGORITHMS:
        raise AuthnetError(Code.TOKEN_ALGORITHM, "ECDSA tokens log in in one round only")
    iat = _check_times(claims, record.iat_limit_s, now_s)
    user = _user(claims, record)
    if not equal_text(user, asked):
        raise AuthnetError(Code.TOKEN_SUBJECT, "the token belongs to another user")
    return Claims(mode, user, iat)


def equal_text(found: Any, expected: str) -> bool:
    """Constant-time comparison of something out of a token."""
    return isinstance(found, str) and hmac.compare_digest(found.encode(), expected.encode())


def _audience_mode(found: Any, record: VerifierView) -> str:
    # A token for several audiences may have been shown to all of them: exactly one.
    if isinstance(found, list):
        found = found[0] if len(found) == 1 else None
    modes = {a.mode for a in record.audiences if equal_text(found, a.aud)}
    if modes in ({BOUND}, {TWO_ROUND}):
        return modes.pop()
    raise AuthnetError(Code.TOKEN_AUDIENCE, "the token was made for another client")


def _check_times(claims: dict[str, Any], limit_s: int, now_s: float) -> float:
    exp, iat = _seconds(claims, "exp"), _seconds(claims, "iat")
    if now_s >= exp + EXP_SKEW_S:
        raise AuthnetError(Code.TOKEN_EXPIRED, "the token has expired")
    nbf = _seconds(claims, "nbf") if "nbf" in claims else iat
    if max(iat, nbf) > now_s + SKEW_S:
        raise AuthnetError(Code.TOKEN_NOT_YET_VALID, "the token is not valid yet")
    if now_s - iat > limit_s:
        raise AuthnetError(Code.TOKEN_TOO_OLD, f"the token was issued more than {limit_s} s ago")
    return iat


def _seconds(claims: dict[str, Any], name: str) -> float:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < _FAR:
        malformed(f"the token needs {name} as a time in seconds")
    return float(value)


def _user(claims: dict[str, Any], record: VerifierView) -> str:
    found = claims.get(record.id_claim)
    if not isinstance(found, str):
        raise AuthnetError(Code.TOKEN_SUBJECT, f"the token names no {record.id_claim}")
    flag = claims.get("email_verified")
    if record.id_claim == "email" and flag is not True and flag != "true":  # Apple writes a text
        raise AuthnetError(Code.EMAIL_NOT_VERIFIED, "the provider has not verified the e-mail")
    try:
        user = canonical_id(record.case_rule, found)
    except AuthnetError:
        _odd_user()
    # What people type is trimmed; a provider's id with outer white space is another user's.
    if len(user) != len(found):
        _odd_user()
    return user


def _odd_user() -> NoReturn:
    raise AuthnetError(Code.TOKEN_SUBJECT, "the token's user id is empty, too long or has outer white space") from None
