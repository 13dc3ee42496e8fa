"""Verifier records as observed in the registry (epochs.md section 3).

What decides whose account is whose never changes: name, issuer, id claim, case rule, and which verifier and
mode an audience has, not even after removal. The registry delays a change; here n-t observers put it in force.
"""

from __future__ import annotations

from abci_app.registry.texts import refuse, require_claim, require_name, require_printable, require_url
from abci_app.rules.events import Event, event
from abci_app.rules.members import need_epoch
from abci_app.state import records as r
from abci_app.state import tables
from abci_app.state.state import State
from authnet_core.errors import Code, Rejected
from authnet_core.protocol.accounts import CASE_RULES
from authnet_core.wire.authnet_pb2 import VerifierRecord

MODES = ("bound", "two-round")
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
_MAX_AUDIENCES = 64
_IAT_LIMIT_S = 604_800
_FIXED = ("issuer", "id_claim", "case_rule")


def get_subject(record: VerifierRecord) -> bytes:
    """What votes on this record are about."""
    return b"verifier/" + record.name.encode()


def check_record(state: State, record: VerifierRecord) -> None:
    """Raise Rejected unless the record may come into force."""
    need_epoch(state)
    require_name(record.name)
    _check_shape(state, record)
    known = state.get(tables.verifier(record.name))
    if known is not None:
        _check_successor(known, record)
    for audience in record.audiences:
        owner = state.get(tables.audience(record.issuer, audience.aud))
        if owner is not None and (owner.verifier, owner.mode) != (record.name, audience.mode):
            raise refuse(f"audience {audience.aud} of this issuer is {owner.verifier}'s, mode {owner.mode}, for good")


def _check_shape(state: State, record: VerifierRecord) -> None:
    require_printable("issuer", record.issuer)
    require_url("jwks_url", record.jwks_url, state.need(tables.GENESIS).dev)
    require_claim("id_claim", record.id_claim)
    require_claim("session_claim", record.session_claim)
    if record.case_rule not in CASE_RULES:
        raise refuse(f"case rule must be one of {', '.join(CASE_RULES)}")
    algorithms = list(record.algorithms)
    if not algorithms or len(algorithms) > len(ALGORITHMS) or any(a not in ALGORITHMS for a in algorithms):
        raise refuse("algorithms must be asymmetric ones that this network knows")
    if not 1 <= record.iat_limit_s <= _IAT_LIMIT_S:
        raise refuse(f"iat limit must be 1 to {_IAT_LIMIT_S} seconds")
    if record.owner:
        require_printable("owner", record.owner)
    _check_audiences(record)


def _check_audiences(record: VerifierRecord) -> None:
    if not 1 <= len(record.audiences) <= _MAX_AUDIENCES:
        raise refuse(f"a verifier has 1 to {_MAX_AUDIENCES} audiences")
    seen: list[str] = []
    for audience in record.audiences:
        require_printable("audience", audience.aud)
        if audience.mode not in MODES:
            raise refuse("an audience's mode is bound or two-round")
        if audience.aud in seen:
            raise refuse(f"audience {audience.aud} is named twice")
        seen.append(audience.aud)


def _check_successor(known: r.Verifier, record: VerifierRecord) -> None:
    if record.version <= known.version:
        raise Rejected(Code.RECORD_STALE, f"version {known.version} of this verifier is in force")
    if known.removed:
        raise refuse("the verifier was removed; its name is not used again")
    for name in _FIXED:
        if getattr(record, name) != getattr(known, name):
            raise refuse(f"{name} of a verifier never changes")


def accept(state: State, record: VerifierRecord) -> list[Event]:
    """Put the record in force and give its audiences to it for good."""
    audiences = tuple(r.Audience(audience.aud, audience.mode) for audience in record.audiences)
    verifier = r.Verifier(
        name=record.name,
        version=record.version,
        issuer=record.issuer,
        jwks_url=record.jwks_url,
        audiences=audiences,
        id_claim=record.id_claim,
        case_rule=record.case_rule,
        algorithms=tuple(record.algorithms),
        iat_limit_s=record.iat_limit_s,
        session_claim=record.session_claim,
        owner=record.owner,
        removed=record.removed,
    )
    if state.get(tables.verifier(record.name)) is None:
        names = (*state.need(tables.VERIFIER_NAMES).names, record.name)
        state.put(tables.VERIFIER_NAMES, r.Names(tuple(sorted(names))))
    state.put(tables.verifier(record.name), verifier)
    for audience in audiences:
        owner = r.AudienceOwner(record.name, audience.mode)
        state.put(tables.audience(record.issuer, audience.aud), owner)
    return [event("verifier", name=record.name, version=record.version, removed=str(record.removed).lower())]
