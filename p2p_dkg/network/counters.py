"""Metrics of the links. Labels are party indexes and short reasons only."""

from __future__ import annotations

from authnet_runtime.metrics import Counter, Gauge

FRAMES_IN = Counter("authnet_peer_frames_in", "Frames accepted", ["peer"])
FRAMES_OUT = Counter("authnet_peer_frames_out", "Frames sent", ["peer"])
BYTES_IN = Counter("authnet_peer_bytes_in", "Bytes of accepted frames", ["peer"])
BYTES_OUT = Counter("authnet_peer_bytes_out", "Bytes of sent frames", ["peer"])
REFUSED = Counter("authnet_peer_refused", "Frames and connections refused", ["peer", "reason"])
CONNECTED = Gauge("authnet_peers_connected", "Members this keeper has a link with")
