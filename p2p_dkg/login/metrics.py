"""What the login counts. Labels are codes, never a verifier's user or a token."""

from __future__ import annotations

from authnet_runtime.metrics import Counter

LOGINS = Counter("authnet_logins", "Calls of the login service by their outcome", ["call", "outcome"])
JWKS_FETCHES = Counter("authnet_jwks_fetches", "Fetches of providers' key sets by their outcome", ["outcome"])
UNKNOWN_KEYS = Counter("authnet_unknown_token_keys", "Tokens whose key was not at hand, by what was done", ["answer"])
RECEIPTS = Counter("authnet_receipts", "Receipts signed", ["reason"])
