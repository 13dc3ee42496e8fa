"""What a message to a whole committee costs its sender."""

from __future__ import annotations

import os
from types import SimpleNamespace

import pytest

from authnet_core.protocol.reshare.messages import ReshareBundle
from p2p_dkg.network import mesh as module
from p2p_dkg.network.frames import Frame
from p2p_dkg.network.mesh import Mesh


class Line:
    """A link that remembers what it was given."""

    def __init__(self, *, connected: bool) -> None:
        self.connected, self.sent = connected, list[tuple[Frame, bytes]]()

    def send(self, frame: Frame, raw: bytes = b"") -> None:
        self.sent.append((frame, raw))


def test_a_bundle_is_encoded_once_for_all_members_that_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    monkeypatch.setattr(module, "encode", lambda frame: made.append(frame) or b"its bytes")
    mesh = Mesh(os.urandom(32), "/ip4/127.0.0.1/tcp/1", "")
    lines = [Line(connected=True), Line(connected=True), Line(connected=False)]
    monkeypatch.setattr(mesh, "_of", lambda _epoch: [SimpleNamespace(link=line) for line in lines])
    bundle = ReshareBundle(bytes(32), 1, (bytes(32),), (bytes(64),))
    mesh.send_all(2, bundle)
    assert made == [bundle]
    assert [line.sent for line in lines] == [[(bundle, b"its bytes")], [(bundle, b"its bytes")], []]
