"""The fuzzer itself: it reaches what it should, every input it keeps is replayed, and a planted bug is found."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from random import Random

import pytest

from authnet_core.errors import DecodeError
from p2p_dkg.network.frames import decode
from tests.fuzz import __main__ as runner
from tests.fuzz.mutation import fields, spoil, varint
from tests.fuzz.target import CORPUS, Target
from tests.fuzz.test_links import frames


def test_every_kept_input_belongs_to_a_target() -> None:
    assert {path.name for path in CORPUS.iterdir() if path.is_dir()} <= set(runner.TARGETS)


def test_protobuf_is_cut_at_its_fields() -> None:
    raw = b"\x08\x96\x01" + b"\x12" + varint(3) + b"abc" + b"\x1d" + bytes(4)
    assert [raw[each.start : each.end] for each in fields(raw)] == [raw[:3], raw[3:8], raw[8:]]
    assert fields(raw[:-1]) == []
    assert fields(b"\x12\x05abc") == []


def test_spoilt_frames_are_not_all_refused_at_the_first_byte() -> None:
    rng, outcomes = Random(1), Counter[str]()
    for _ in range(600):
        raw = spoil(rng.randint, frames(), "protobuf")
        try:
            outcomes[type(decode(raw)).__name__] += 1
        except DecodeError as refusal:
            outcomes[str(refusal)[:24]] += 1
    assert len(outcomes) >= 12, outcomes
    assert sum(outcomes[kind] for kind in ("Bundle", "PointList", "Parts", "Recovery")) >= 40, outcomes


def test_a_planted_bug_is_found_shrunk_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def careless(raw: bytes) -> None:
        if len(raw) > 3 and raw[2] > 127:
            raise IndexError("planted")

    monkeypatch.setattr("tests.fuzz.target.CORPUS", tmp_path)
    monkeypatch.setattr("tests.fuzz.target.DATABASE", tmp_path / "database")
    target = Target("planted", "bytes", lambda: (bytes(64),), careless, 200)
    with pytest.raises(IndexError) as caught:
        target.slice()
    assert "target planted" in str(caught.value.__notes__)
    assert runner.search([target], float("inf")) == 1
    (kept,) = target.kept()
    with pytest.raises(IndexError):
        careless(kept.read_bytes())
    with pytest.raises(IndexError):
        target.replay()
