"""The only place that knows key bytes, in the authenticated tree and beside it.

A `Slot` is one place of the authenticated state and the type of its value. Keys outside of the tree hold bulk
that a record in the tree covers by a root or a running hash.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import Generic, TypeVar

from abci_app.state import batch_records as b
from abci_app.state import records as r
from abci_app.state import records_handover as rh

R = TypeVar("R", bound=r.Record)


@dataclass(frozen=True, slots=True)
class Slot(Generic[R]):
    """Where a value lies in the tree, and what it is."""

    key: bytes
    kind: type[R]


def _be(number: int) -> bytes:
    return number.to_bytes(8, "big")


GENESIS = Slot(b"genesis", r.Genesis)
PARAMS = Slot(b"params", r.Params)
VALIDATORS = Slot(b"validators", r.ValidatorSet)
CURRENT_EPOCH = Slot(b"epoch", r.CurrentEpoch)
KEYGEN = Slot(b"keygen", r.Keygen)
INDICES = Slot(b"indices", r.Indices)
OPEN_SESSIONS = Slot(b"sessions/open", r.SessionList)
RECENT_SESSIONS = Slot(b"sessions/recent", r.SessionList)
RETAINED_SESSIONS = Slot(b"sessions/retained", r.SessionList)
BLAME_COUNT = Slot(b"blames", r.BlameCount)
VERIFIER_NAMES = Slot(b"verifiers", r.Names)
MOVING = Slot(b"moving", b.Moving)
SWEEPS = Slot(b"sweeps", b.Sweeps)
HANDOVER = Slot(b"handover", rh.Handover)
ENDED_HANDOVERS = Slot(b"handovers", rh.EndedList)
ROOTS = Slot(b"roots", rh.Roots)


def epoch(number: int) -> Slot[r.Epoch]:
    return Slot(b"epoch/" + _be(number), r.Epoch)


def enckeys(of_epoch: int, member: int) -> Slot[r.EncKeys]:
    return Slot(b"enckey/" + _be(of_epoch) + _be(member), r.EncKeys)


def session(sid: bytes) -> Slot[r.Session]:
    return Slot(b"session/" + sid, r.Session)


def dealt(sid: bytes) -> Slot[r.Dealt]:
    return Slot(b"dealt/" + sid, r.Dealt)


def batch(of_epoch: int, first_index: int) -> Slot[b.Batch]:
    return Slot(b"batch/" + _be(of_epoch) + _be(first_index), b.Batch)


def masks(first_index: int) -> Slot[b.Masks]:
    return Slot(b"masks/" + _be(first_index), b.Masks)


def reshare(rid: bytes) -> Slot[b.Reshare]:
    return Slot(b"reshare/" + rid, b.Reshare)


def reshare_signed(rid: bytes) -> Slot[b.ReshareSigned]:
    return Slot(b"redealt/" + rid, b.ReshareSigned)


def short(of_epoch: int) -> Slot[b.Short]:
    return Slot(b"short/" + _be(of_epoch), b.Short)


def convicts(of_epoch: int) -> Slot[r.Convicts]:
    return Slot(b"convicts/" + _be(of_epoch), r.Convicts)


def blame(number: int) -> Slot[r.Blame]:
    return Slot(b"blame/" + _be(number), r.Blame)


def pool(curve: str) -> Slot[r.Pool]:
    return Slot(b"pool/" + curve.encode(), r.Pool)


def key(index: int) -> Slot[r.Key]:
    return Slot(b"key/" + _be(index), r.Key)


def account(account_id: bytes) -> Slot[r.Account]:
    return Slot(b"account/" + account_id, r.Account)


def quota(of_epoch: int, member: int) -> Slot[r.Quota]:
    return Slot(b"quota/" + _be(of_epoch) + _be(member), r.Quota)


def bucket(expiry: int) -> Slot[r.Bucket]:
    return Slot(b"replay/" + _be(expiry), r.Bucket)


def votes(subject: bytes) -> Slot[r.Votes]:
    return Slot(b"votes/" + subject, r.Votes)


def open_votes(member: int) -> Slot[r.OpenVotes]:
    return Slot(b"voted/" + _be(member), r.OpenVotes)


def verifier(name: str) -> Slot[r.Verifier]:
    return Slot(b"verifier/" + name.encode(), r.Verifier)


def audience(issuer: str, aud: str) -> Slot[r.AudienceOwner]:
    left = issuer.encode()
    return Slot(b"audience/" + sha256(_be(len(left)) + left + aud.encode()).digest(), r.AudienceOwner)


# LevelDB keys. One letter says the table.

META = b"m"
NODES = b"n"
VALUES = b"s"
POOL_KEYS = b"k"
KEYS_BY_PUB = b"y"
SESSION_STARTS = b"x"
REPLAY_IDS = b"r"
KEY_PATHS = b"p"
JOURNAL = b"j"
STAGED = b"i"
"""There while a state is being put together and no block of it is committed: else it is nobody's."""


def node(position: int) -> bytes:
    """A tree node; the bytes of a position are different for every position."""
    return NODES + position.to_bytes((position.bit_length() + 7) // 8, "big")


def value(tree_key: bytes) -> bytes:
    return VALUES + tree_key


def pool_key(index: int) -> bytes:
    """Y || N of a generated key, 66 bytes."""
    return POOL_KEYS + _be(index)


def key_path(first_index: int) -> bytes:
    """Audit path of the chunk of keys that starts at this index, 32 bytes a step; absent when it has no step."""
    return KEY_PATHS + _be(first_index)


def journal(height: int) -> bytes:
    """What a block changed (abci_app/state/journal.py). Of this node alone, under no hash."""
    return JOURNAL + _be(height)


def key_by_pub(y: bytes) -> bytes:
    """Index (8 bytes) of the key Y."""
    return KEYS_BY_PUB + y


def session_start(first_index: int) -> bytes:
    """The sid of the session whose keys start at this index."""
    return SESSION_STARTS + _be(first_index)


def replay_id(expiry: int, place: int) -> bytes:
    return REPLAY_IDS + _be(expiry) + place.to_bytes(4, "big")
