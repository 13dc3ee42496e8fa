"""Putting a key together from shares as they arrive, and naming who lied.

k nodes must say Y and N alike, k shares must open Y, and the nonce must open N: nothing is believed that does
not add up. No I/O; secrets stay in this object and its result.
"""

from __future__ import annotations

import base64
from collections import defaultdict
from dataclasses import dataclass, field

import msgspec

from authnet_client.committee import ServingCommittee
from authnet_client.outcomes import Reports, SessionToken
from authnet_client.session import LoginSession
from authnet_client.wire import Metadata, ShareAnswer, ShareKey, sealed, share_ciphertext
from authnet_core.crypto import ecies
from authnet_core.crypto.ecdsa import verify_recoverable
from authnet_core.crypto.hashing import keccak256
from authnet_core.crypto.secp256k1 import compress, decompress, parse_scalar, pub
from authnet_core.crypto.shamir import Opened, find_subset, misfits
from authnet_core.json_text import NOT_JSON


class TokenBody(msgspec.Struct, frozen=True):
    """What a session token says."""

    exp: int
    temp_key_x: str
    temp_key_y: str
    verifier_name: str
    verifier_id: str


@dataclass(frozen=True, slots=True)
class _Claim:
    """What k nodes must say alike about the account's key."""

    index: str
    Y: bytes
    N: bytes
    upgraded: bool


@dataclass(slots=True)
class _Given:
    """One node's part: its share, and the rest of its answer still sealed."""

    share: int = field(repr=False)
    answer: ShareAnswer = field(repr=False)


@dataclass(frozen=True, slots=True)
class OpenedKey:
    """A key that was put together."""

    Y: bytes
    N: bytes
    postbox: int = field(repr=False)
    nonce: int | None = field(repr=False)
    """None for an upgraded account: the nodes no longer have it."""


class Opening:
    """Collects the answers of one login."""

    def __init__(
        self, committee: ServingCommittee, session: LoginSession, reports: Reports, users: frozenset[str]
    ) -> None:
        """`users`: the forms of the user's id that a session token may carry."""
        self._committee, self._session, self._reports = committee, session, reports
        self._users = users
        self._given: dict[_Claim, dict[int, _Given]] = defaultdict(dict)
        self._claim: _Claim | None = None
        self.opened: OpenedKey | None = None

    def add(self, index: int, answer: ShareAnswer) -> None:
        """Take one node's answer; a malformed one is reported and left out."""
        try:
            claim, share = self._read(index, answer)
        except ValueError as error:
            self._reports.bad(index, f"its answer can not be used: {error}")
            return
        self._given[claim][index] = _Given(share, answer)
        if self.opened is None:
            self._try(claim)
        elif claim != self._claim or self._misfits(claim):
            self._reports.bad(index, "its share is not on the polynomial of the others")

    def _read(self, index: int, answer: ShareAnswer) -> tuple[_Claim, int]:
        if len(answer.keys) != 1:
            raise ValueError("not exactly one key")
        key = answer.keys[0]
        if key.node_index != str(index):
            raise ValueError("it answers for another node")
        if answer.epoch not in (0, self._committee.epoch):
            raise ValueError("it answers for another epoch")
        claim = _Claim(
            key.index,
            _point(key.public_key.X, key.public_key.Y),
            _point(key.nonce_data.pubNonce.x, key.nonce_data.pubNonce.y),
            key.nonce_data.upgraded,
        )
        share = self._open(key.share_metadata, share_ciphertext(key.share), "share")
        if len(share) != 32:
            raise ValueError("the share has another size")
        return claim, parse_scalar(share)

    def _open(self, metadata: Metadata, ciphertext: str, what: str) -> bytes:
        try:
            return ecies.decrypt(self._session.secret, sealed(metadata, ciphertext))
        except ValueError:
            raise ValueError(f"the {what} does not open") from None

    def _try(self, claim: _Claim) -> None:
        """With k shares of one claim: find k that open Y, and a nonce that opens N."""
        given = self._given[claim]
        if len(given) < self._committee.k:
            return
        found = find_subset(self._shares(claim), self._committee.k, claim.Y)
        if found is None:
            return
        nonce = None if claim.upgraded else self._nonce(claim)
        if nonce is None and not claim.upgraded:
            return
        self._claim = claim
        self.opened = OpenedKey(claim.Y, claim.N, found.secret, nonce)
        self._name_liars(claim, found)

    def _shares(self, claim: _Claim) -> dict[int, int]:
        return {index: given.share for index, given in self._given[claim].items()}

    def _nonce(self, claim: _Claim) -> int | None:
        for index, given in self._given[claim].items():
            value = self._nonce_of(given.answer.keys[0])
            if value and pub(value) == claim.N:
                return value
            self._reports.bad(index, "its nonce does not open N")
        return None

    def _nonce_of(self, key: ShareKey) -> int:
        """0 when it is missing or does not open."""
        box = key.nonce_data.nonce_enc
        if box is None:
            return 0
        try:
            return parse_scalar(ecies.decrypt(self._session.secret, sealed(box, box.ciphertext)))
        except ValueError:
            return 0

    def _name_liars(self, claim: _Claim, found: Opened) -> None:
        for index in misfits(self._shares(claim), found):
            self._reports.bad(index, "its share is not on the polynomial of the others")
        for other, given in self._given.items():
            for index in given if other != claim else ():
                self._reports.bad(index, "gives another key than k other nodes")

    def _misfits(self, claim: _Claim) -> bool:
        """Whether the newest share of the opened claim is off the polynomial."""
        shares = self._shares(claim)
        newest = next(reversed(shares))
        found = find_subset({i: s for i, s in shares.items() if i != newest}, self._committee.k, claim.Y)
        return found is None or newest in misfits(shares, found)

    def session_tokens(self, now_s: float) -> tuple[SessionToken, ...]:
        """The session tokens of the nodes whose shares fit; a wrong one is reported and left out."""
        tokens = []
        bad = set(self._reports.bad_nodes())
        given = self._given[self._claim] if self._claim else {}
        for index, each in given.items():
            # A member that came up late may have its key on chain only now: its token can not be checked.
            if index in bad or not self._committee.members[index].service_key:
                continue
            try:
                tokens.append(self._token(index, each.answer, now_s))
            except (ValueError, *NOT_JSON) as error:
                self._reports.bad(index, f"its session token can not be used: {error}")
        return tuple(tokens)

    def _token(self, index: int, answer: ShareAnswer, now_s: float) -> SessionToken:
        lists = (answer.session_tokens, answer.session_token_metadata)
        signature_lists = (answer.session_token_sigs, answer.session_token_sig_metadata)
        if not all(len(each) == 1 for each in (*lists, *signature_lists)):
            raise ValueError("not exactly one token")
        raw = self._open(answer.session_token_metadata[0], answer.session_tokens[0], "token")
        signature = self._open(answer.session_token_sig_metadata[0], answer.session_token_sigs[0], "signature")
        text = base64.b64encode(raw)
        key = bytes.fromhex(self._committee.members[index].service_key)
        if not verify_recoverable(key, keccak256(text), signature):
            raise ValueError("its signature is not the node's")
        body = msgspec.json.decode(raw, type=TokenBody)
        xy = decompress(self._session.temp_pub).hex()
        if (body.temp_key_x, body.temp_key_y, body.verifier_name) != (xy[:64], xy[64:], self._session.verifier):
            raise ValueError("it is for another session")
        if body.verifier_id not in self._users:
            raise ValueError("it is for another user")
        if body.exp <= now_s:
            raise ValueError("it has expired")
        return SessionToken(index, text.decode("ascii"), signature.hex(), body.exp)


def _point(x: str, y: str) -> bytes:
    return compress(bytes.fromhex(x.zfill(64)) + bytes.fromhex(y.zfill(64)))
