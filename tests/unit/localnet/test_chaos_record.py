"""Lights, figures and the page: what a run that breaks a promise looks like, and one that does not."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import msgspec
import pytest

from authnet_core.errors import AuthnetError, Code
from localnet.chaos import page, report
from localnet.chaos.lights import Light
from localnet.chaos.record import Account, Episode, Record, Sample
from localnet.chaos.run import Order, Outcome
from localnet.chaos.schedule import Fault, Kind, Step, Wish
from localnet.chaos.watch import Watch
from localnet.places import Places

BOB, EVE = Account("bob", "0xB", "02aa"), Account("eve", "0xE", "03bb")
STEP = Step(1, 1.0, (Fault(Kind.KILL_NODE, 2), Fault(Kind.JWKS_OUTAGE)), 4.0)


def outcome(record: Record, folder: Path) -> Outcome:
    places = Places(folder, 5, 9000, "n")
    return Outcome(Order(places, Wish(42, 1, 5)), (STEP, STEP), record, 60.0, {"keys": 8})


def good() -> Record:
    record = Record()
    record.episodes.append(Episode(STEP, 5.0, 10.0, 14.0, 0.5, 3.5))
    record.learn(BOB)
    record.note_stall(4.0)
    record.note_stall(2.0)
    record.samples += [Sample(float(second), "one-round login", 20.0) for second in range(60)]
    record.samples += [Sample(8.0, "two-round login", 900.0, "TOO_FEW_NODES")]
    return record


def test_the_same_answer_again_keeps_all_lights_green() -> None:
    record = Record()
    for account in (BOB, EVE, BOB):
        record.learn(account)
    assert record.lights.green
    assert record.lights.checks[Light.ADDRESS] == 3


def test_another_address_another_key_and_a_second_owner_are_seen() -> None:
    for changed, light in (
        (Account("bob", "0xC", "02aa"), Light.ADDRESS),
        (Account("bob", "0xB", "02cc"), Light.KEYS),
        (Account("eve", "0xE", "02aa"), Light.OWNERS),
    ):
        record = Record()
        record.step = 7
        record.learn(BOB)
        record.learn(changed)
        assert not record.lights.green
        assert [(v.light, v.step) for v in record.lights.violations] == [(light, 7)]


def test_hashes_are_compared_at_equal_heights_only(tmp_path: Path) -> None:
    record = Record()
    watch = Watch(Places(tmp_path, 5, 9000, "n"), record)
    watch.compare({1: {"height": 4, "app_hash": "aa"}, 2: {"height": 5, "app_hash": "bb"}})
    watch.compare({2: {"height": 4, "app_hash": "aa"}})
    assert record.lights.green
    watch.compare({3: {"height": 5, "app_hash": "cc"}})
    assert record.lights.broken == {Light.HASHES: 1}
    assert "node 2 has bb, node 3 cc" in record.lights.violations[0].text


def test_only_the_first_examples_of_a_broken_promise_are_kept() -> None:
    record = Record()
    for number in range(100):
        record.check(Light.TOKENS, False, f"{number}")
    assert record.lights.broken[Light.TOKENS] == 100
    assert [v.text for v in record.lights.violations] == [str(number) for number in range(20)]


def test_time_without_a_login_is_found_also_at_either_end() -> None:
    record = Record()
    for at, code in ((5.0, ""), (6.0, "TIMEOUT"), (7.0, ""), (20.0, "")):
        record.samples.append(Sample(at, "one-round login", 0.0, code))
    assert record.gaps(40.0) == [(0.0, 5.0), (7.0, 20.0), (20.0, 40.0)]
    assert record.gaps(40.0, least_s=15) == [(20.0, 40.0)]


def test_the_spread_of_figures() -> None:
    assert report.spread([]) == {"p50": None, "max": None}
    assert report.spread([3.0, 1.0, 2.0]) == {"p50": 2.0, "max": 3.0}


def test_the_report_has_the_promised_shape_and_names_seed_and_step(tmp_path: Path) -> None:
    record = good()
    found = report.as_object(outcome(record, tmp_path))
    assert (found["schema"], found["ok"], found["seed"], found["steps"]) == (1, True, 42, {"drawn": 2, "done": 1})
    assert found["back_s"] == {"login": {"p50": 0.5, "max": 0.5}, "nodes": {"p50": 3.5, "max": 3.5}}
    assert {light["name"] for light in found["lights"]} == {light.name.lower() for light in Light}
    assert msgspec.json.encode(found)
    assert found["kept_waiting"] == {"longest_s": 4.0, "share": 0.1}
    assert report.first_failure(outcome(record, tmp_path)) == ""
    record.step = 1
    record.check(Light.TOKENS, False, "node 2 gave a share")
    assert not outcome(record, tmp_path).ok
    assert report.first_failure(outcome(record, tmp_path)) == (
        "FAILED with seed 42 at step 1: no share without a valid token: node 2 gave a share"
    )


def test_the_page_stands_alone_and_escapes_what_nodes_said(tmp_path: Path) -> None:
    record = good()
    record.check(Light.CODES, False, "<script>alert(1)</script>")
    text = page.render(outcome(record, tmp_path))
    assert "<script" not in text
    assert not re.search(r'(src|href)="?(?!#)', text)
    drawing = ElementTree.fromstring(text[text.index("<svg") : text.index("</svg>") + 6])
    titles = [title.text for title in drawing.iter("title")]
    assert titles == ["step 1: kill node at node 2", "step 1: JWKS outage"]
    assert "FAILED" in text


@pytest.mark.parametrize("answers", [{}, {"/sessions/retained/count": 1}])
def test_nobody_has_all_shares_when_the_chain_does_not_say_which(tmp_path: Path, answers: dict[str, object]) -> None:
    watch = Watch(Places(tmp_path, 5, 8788, "local"), Record())

    def query(_: int, path: str) -> object:
        if path not in answers:
            raise AuthnetError(Code.TIMEOUT, "no answer")
        return answers[path]

    watch._query = query  # type: ignore[method-assign]
    assert watch._with_all_shares({1: {"height": 7}}) == set()
    answers = answers | {"/sessions/retained/count": 1, "/sessions/retained/0/250": [{"sid": "a", "holders": [2, 5]}]}
    assert watch._with_all_shares({1: {"height": 7}}) == {2, 5}
