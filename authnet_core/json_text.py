"""What reading JSON from outside may raise: bytes that are no text and nesting too deep are no errors of msgspec's."""

from __future__ import annotations

import msgspec

NOT_JSON = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""Catch this around every `msgspec.json.decode` of bytes that somebody else wrote."""
