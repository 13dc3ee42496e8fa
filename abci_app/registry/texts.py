"""Which texts of a registry record the chain accepts.

Plain regular expressions over ASCII: a rule must not depend on how one version of a library reads a URL.
"""

from __future__ import annotations

import re

from authnet_core.errors import Code, Rejected

_PRINTABLE = re.compile(r"[!-~]{1,255}")
_NAME = re.compile(r"[a-z0-9-]{1,64}")
_CLAIM = re.compile(r"[A-Za-z0-9_.:/-]{1,64}")
_PORT = r"(:[0-9]{1,5})?"
_HTTPS = re.compile(r"https://[A-Za-z0-9.-]{1,253}" + _PORT + r"(/[!-~]{0,1024})?")
_LOOPBACK = re.compile(r"http://(127\.0\.0\.1|localhost|\[::1\])" + _PORT + r"(/[!-~]{0,1024})?")


def refuse(sentence: str) -> Rejected:
    """The refusal of a registry record."""
    return Rejected(Code.RECORD_REFUSED, sentence)


def require_printable(name: str, text: str) -> None:
    if not _PRINTABLE.fullmatch(text):
        raise refuse(f"{name} must be 1 to 255 printable ASCII characters without spaces")


def require_name(text: str) -> None:
    if not _NAME.fullmatch(text):
        raise refuse("a verifier's name is 1 to 64 of a-z, 0-9 and -")


def require_claim(name: str, text: str) -> None:
    if not _CLAIM.fullmatch(text):
        raise refuse(f"{name} is not a claim name")


def require_url(name: str, text: str, dev: bool) -> None:
    """https anywhere; http for a loopback host of a development chain only."""
    if not (_HTTPS.fullmatch(text) or (dev and _LOOPBACK.fullmatch(text))):
        raise refuse(f"{name} must be an https URL")
