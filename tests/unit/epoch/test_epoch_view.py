"""`authnet epoch status`: the picture from a chain's answers, and that people can read it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from authnet.commands.epoch_view import is_under_way, look, show
from authnet.output import Output
from authnet_core.errors import AuthnetError, Code
from authnet_runtime.retained import RETAINED_PAGE
from tests.unit.epoch.test_handover_view import DEAL, handover, reshare

CURRENT = {"epoch": 1, "n": 5, "k": 3, "t": 1, "status": "serving", "members": [], "committee_hash": ""}


def chain(**changes: Any) -> dict[str, Any]:
    moving = msgspec.structs.replace(handover("resharing", (1, 2)), batches=3, batches_done=1, keys_done=40)
    view = reshare("deal", deals={1: DEAL, 2: DEAL})
    fixed = {
        "/status": {"height": 50, "time_ms": 10_000},
        "/epoch/current": CURRENT,
        "/epoch/serving": CURRENT,
        "/handover": msgspec.to_builtins(moving, str_keys=True),
        "/reshares": {"open": [msgspec.to_builtins(view, str_keys=True)], "retained": []},
        "/handovers": [],
    }
    return fixed | changes


def asking(answers: dict[str, Any]) -> Any:
    def ask(path: str) -> Any:
        if answers.get(path) is None:
            raise AuthnetError(Code.NOT_FOUND, path)
        return answers[path]

    return ask


def test_the_picture_names_phase_pace_matrix_and_who_is_awaited(capsys: pytest.CaptureFixture[str]) -> None:
    samples = [(5_000, 15)]
    found = look(asking(chain()), samples)
    moving = found["handover"]
    assert (moving["phase"], moving["keys_done"], moving["keys_s"], moving["eta_ms"]) == ("resharing", 40, 5.0, 12_000)
    assert moving["reshares"][0]["matrix"] == ["ddddd", "ddddd", ".....", ".....", "....."]
    assert [h["index"] for h in moving["held_up_by"]] == [3, 4, 5]
    assert msgspec.json.encode(found)
    show(Output(), found)
    shown = capsys.readouterr().out
    for part in (
        "epoch 1 -> 2: resharing",
        "1 of 3 batches, 40 of 100 keys",
        "5 keys/s, 12 s left",
        "old node 3 (RDEAL)",
    ):
        assert part in shown


def test_the_pace_is_that_of_moving_keys_alone() -> None:
    """Who watched the joining too is told no lower pace."""
    joining = msgspec.to_builtins(handover("joining"), str_keys=True)
    samples: list[tuple[int, int]] = []
    for time_ms in (1_000, 5_000):
        clock = {"/status": {"height": 50, "time_ms": time_ms}}
        look(asking(chain(**{"/handover": joining, "/reshares": None} | clock)), samples)
    assert look(asking(chain()), samples)["handover"]["keys_s"] == 8.0


def test_who_watches_sees_the_registration_too_and_an_end() -> None:
    none = {"handover": None, "epoch": 1, "registry": None, "ended": []}
    coming = none | {"registry": {"epoch": 2}}
    assert is_under_way(look(asking(chain()), []))
    assert is_under_way(coming)
    assert not is_under_way(none)
    assert not is_under_way(none | {"registry": {"epoch": 1}})
    assert not is_under_way(coming | {"ended": [{"epoch": 2}]})


def test_who_looks_during_the_notice_is_told_what_is_awaited(capsys: pytest.CaptureFixture[str]) -> None:
    moving = msgspec.structs.replace(handover("announced"), notice_ends_ms=70_000, record_hash="ab" * 32)
    show(
        Output(),
        look(asking(chain(**{"/handover": msgspec.to_builtins(moving, str_keys=True), "/reshares": None})), []),
    )
    shown = capsys.readouterr().out
    assert "the end of the notice" in shown
    assert "in 60 s; record abababab" in shown


def test_a_joining_node_without_encryption_keys_is_awaited() -> None:
    moving = msgspec.to_builtins(handover("joining", (1, 2, 3, 4, 5)), str_keys=True)
    members = [{"index": m, "first": 0, "last": 7 if m < 5 else -1} for m in range(1, 6)]
    answers = {"/handover": moving, "/reshares": None, "/enckeys/2": {"next_counter": 0, "members": members}}
    found = look(asking(chain(**answers)), [])["handover"]
    assert [(h["index"], h["what"]) for h in found["held_up_by"]] == [(5, "ENCKEY")]


def test_without_a_hand_over_the_last_one_s_end_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    ended = [{"epoch": 2, "outcome": "timed-out", "height": 9, "time_ms": 9, "reason": "no \x1b[31mmask"}]
    found = look(asking(chain(**{"/handover": None, "/handovers": ended})), [])
    assert found["handover"] is None
    show(Output(), found)
    shown = capsys.readouterr().out
    assert "epoch 2 timed-out" in shown
    assert "\x1b" not in shown, "a node must not drive the reader's terminal"


def test_who_is_short_of_shares_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    """Of the committee in charge alone: the next one still gets its shares."""

    def batch(epoch: int, *holders: int) -> dict[str, Any]:
        fields = {"id": "00", "epoch": epoch, "first_index": 0, "count": 24, "root": "00"}
        return fields | {"holders": list(holders)}

    listed = [batch(1, 1, 2, 3, 5), batch(1, 1, 2, 3), batch(2, 1)]
    found = look(asking(chain(**{f"/reshares/retained/0/{RETAINED_PAGE}": listed})), [])
    assert found["short"] == [{"index": 4, "batches": 2}, {"index": 5, "batches": 1}]
    show(Output(), found)
    assert "party 4 lacks 2 batches, party 5 lacks 1 batches" in capsys.readouterr().out
    assert look(asking(chain()), [])["short"] == []


def test_who_has_yet_to_register_and_what_is_wrong_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    manager = {"epoch": 2, "registered": True, "members": 4, "seats": 5, "waiting_for": ["0xabc"], "operator": "0x1"}
    problem = {"where": "epoch 2", "code": "RECORD_REFUSED", "message": "the registry was rewritten"}
    found = look(asking(chain(**{"/handover": None})), [], manager | {"problems": [problem]})
    assert found["registry"] == {k: v for k, v in manager.items() if k != "operator"} | {"problems": [problem]}
    show(Output(), found)
    shown = capsys.readouterr().out
    assert "epoch 2: 4 of 5; not yet: 0xabc" in shown
    assert "problem: epoch 2\tRECORD_REFUSED: the registry was rewritten" in shown
    show(Output(), look(asking(chain()), []))
    assert "the epoch manager does not answer" in capsys.readouterr().out


def test_a_node_that_does_not_answer_is_said_so() -> None:
    def silent(_: str) -> Any:
        raise AuthnetError(Code.UNAVAILABLE, "down")

    with pytest.raises(AuthnetError, match="down"):
        look(silent, [])
