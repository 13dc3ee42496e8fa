"""One machine driven by hand: views of a modelled chain in, effects out."""

from authnet_core.protocol.dkg.effects import Effect, Send, Submit
from authnet_core.protocol.dkg.machine import Session
from authnet_core.protocol.dkg.messages import (
    Ack,
    ChainMessage,
    Final,
    Message,
    Opened,
)
from authnet_core.protocol.views import SessionView
from tests.sim.model_chain import ModelChain
from tests.unit.dkg.setting import ABSENT, ek_secret, make_dealings, make_params, seed_of

PARAMS = make_params()
GOOD = make_dealings(PARAMS)
SID = PARAMS.sid
HOLDERS = (1, 2, 3, 4)


def machine(me: int = 1, durable: dict[str, bytes] | None = None, seed: bytes | None = None) -> Session:
    secret = None if me == ABSENT else ek_secret(me)
    return Session(PARAMS, me, secret, seed or seed_of(me), durable or {})


def fresh_session(me: int = 1) -> Session:
    """One that has dealt and knows of nobody else."""
    session = machine(me)
    session.on_chain(ModelChain(PARAMS).view())
    return session


def pick(effects: list[Effect], kind: type) -> list[Effect]:
    return [e for e in effects if isinstance(e, kind)]


def submits(effects: list[Effect]) -> list[ChainMessage]:
    return [e.message for e in effects if isinstance(e, Submit)]


def sends(effects: list[Effect], kind: type[Message]) -> list[Send]:
    return [e for e in effects if isinstance(e, Send) and isinstance(e.message, kind)]


def chain_with(phase: str, dealers: tuple[int, ...] = (1, 2, 3, 4, 5)) -> ModelChain:
    """A chain in the given phase, as honest nodes bring it there."""
    chain = ModelChain(PARAMS)
    chain.block(0, [(i, GOOD[i].deal) for i in dealers])
    if phase == "deal":
        return chain
    mask = sum(1 << (i - 1) for i in dealers)
    chain.block(250, [(j, Ack(SID, mask)) for j in HOLDERS])
    for now in (2_500, 2_750) if chain.phase == "deal" else ():
        chain.block(now, [])
    if phase == "certified":
        return chain
    chain.block(3_000, [(j, Opened(SID, mask)) for j in HOLDERS])
    return chain


def finalize(chain: ModelChain, now_ms: int, root: bytes) -> None:
    """Let 2, 3, 4 and 5 sign this root, though 5 has no encryption key and the chain's rules would refuse it: these
    tests need n-t signers other than the machine under test."""
    chain.finals[ABSENT] = root
    chain.block(now_ms, [(j, Final(SID, root)) for j in (2, 3, 4)])


def take_all(session: Session, view: SessionView, me: int = 1) -> list[Effect]:
    """Everything the others send in a good session."""
    effects = session.on_chain(view)
    for i in PARAMS.parties:
        if i != me:
            effects += session.handle(i, GOOD[i].bundle)
            effects += session.handle(i, GOOD[i].points)
    return effects


# -- construction -------------------------------------------------------------------------------------------------
