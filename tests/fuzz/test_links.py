"""What other keepers send: frames, and the messages in them as the machine takes them."""

from __future__ import annotations

from functools import cache

import pytest

from authnet_core.errors import DecodeError
from authnet_core.protocol.dkg.machine import Session
from authnet_core.protocol.dkg.messages import (
    Message,
    Parts,
    Recovery,
    WantBundle,
    WantList,
    WantParts,
    WantRecovery,
)
from p2p_dkg.network.frames import Frame, Hello, Ping, ReceiptAnswer, ReceiptAsk, decode, encode
from tests.fuzz.target import Target
from tests.unit.dkg.driving import GOOD, SID, chain_with, fresh_session, take_all

_POINT = GOOD[2].points.points64[:64]


@cache
def messages() -> tuple[Message, ...]:
    """One of each kind, as honest members send them."""
    return (
        GOOD[2].bundle,
        GOOD[2].points,
        GOOD[3].bundle,
        GOOD[3].points,
        WantBundle(SID, 1),
        WantList(SID, 1),
        WantParts(SID, 2, 1),
        WantRecovery(SID, 2),
        Parts(SID, 2, 3, _POINT * 3),
        Recovery(SID, 2, b"\x02" + _POINT[:32], bytes(64)),
    )


@cache
def frames() -> tuple[bytes, ...]:
    others: tuple[Frame, ...] = (
        Hello("vectors-1", 1, bytes(32), 2),
        Ping(),
        ReceiptAsk(7, bytes(32), b"\x02" + _POINT[:32]),
        ReceiptAnswer(7, "mug00", bytes(65), b"\x02" + _POINT[:32]),
        ReceiptAnswer(8, "", b"", b""),
    )
    return tuple(encode(frame) for frame in (*messages(), *others))


def check_frame(raw: bytes) -> None:
    try:
        frame = decode(raw)
    except DecodeError:
        return
    assert decode(encode(frame)) == frame, "what decodes survives a round trip"


@cache
def sessions() -> tuple[Session, ...]:
    """Machines at several points: just begun, certified, opened and full. They go on from input to input."""
    full = fresh_session()
    take_all(full, chain_with("opening").view())
    waiting = fresh_session()
    waiting.on_chain(chain_with("certified").view())
    return fresh_session(), waiting, full


def check_machine(raw: bytes) -> None:
    try:
        frame = decode(raw)
    except DecodeError:
        return
    if isinstance(frame, Hello | Ping | ReceiptAsk | ReceiptAnswer):
        return
    for session in sessions():
        session._state.strikes.clear()  # else whoever sends enough junk is no longer listened to
        for sender in (2, 5, 9):
            session.handle(sender, frame)


TARGETS = (
    Target("frames", "protobuf", frames, check_frame, 150),
    Target("machine", "protobuf", frames, check_machine, 80),
)


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_what_members_send(target: Target) -> None:
    target.slice()
