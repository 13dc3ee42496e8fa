"""Before a node joins by state sync: one trusted block, found once, from a committee that answers alike."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import anyio
import pytest
from msgspec.structs import replace

from authnet_core.errors import AuthnetError, Code, ConfigError
from authnet_runtime.config import NodeConfig, parse_node
from authnet_runtime.node_folder import render
from authnet_runtime.trust import Trust
from epoch_manager import state_sync
from tests.unit.backup.test_backup import SETTINGS
from tests.unit.epoch.test_genesis import epoch

FOUND = Trust(7, "AB" * 32, ("http://a/comet", "http://b/comet"))


def config(folder: Path, extra: str = "state_sync = true") -> NodeConfig:
    (folder / "cometbft/config").mkdir(parents=True, exist_ok=True)
    return parse_node(render(SETTINGS).replace("[cometbft]\n", f"[cometbft]\n{extra}\n"), folder)


def trusted(folder: Path) -> Path:
    return folder / "cometbft/config/trust.json"


class Members:
    """Committees by their first endpoint; those in `answering` name a block."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *answering: str) -> None:
        self.asked: list[tuple[str, int, str]] = []
        self._answering = answering
        monkeypatch.setattr(state_sync, "find_trust", self._find)

    async def _find(self, endpoints: Sequence[str], needed: int, chain_id: str) -> Trust:
        self.asked.append((endpoints[0], needed, chain_id))
        if endpoints[0] not in self._answering:
            raise AuthnetError(Code.UNAVAILABLE, "too few")
        return FOUND


OLD = epoch()
NEW = replace(
    epoch(), epoch=2, members=tuple(replace(m, endpoint=m.endpoint.replace("127.0.0.1", "new")) for m in OLD.members)
)
FIRST_OLD, FIRST_NEW = OLD.members[0].endpoint, NEW.members[0].endpoint


def settle(folder: NodeConfig) -> None:
    anyio.run(state_sync.settle_trust, folder, [NEW, OLD])


def test_the_newest_committee_that_answers_is_asked_and_only_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    members = Members(monkeypatch, FIRST_OLD)
    settle(config(tmp_path))
    assert members.asked == [(FIRST_NEW, 4, "test-1"), (FIRST_OLD, 4, "test-1")]
    assert json.loads(trusted(tmp_path).read_bytes()) == {
        "height": 7,
        "hash": "AB" * 32,
        "servers": ["http://a/comet", "http://b/comet"],
    }
    settle(config(tmp_path))
    assert len(members.asked) == 2


def test_nothing_is_written_while_too_few_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Members(monkeypatch)
    with pytest.raises(AuthnetError) as refusal:
        settle(config(tmp_path))
    assert refusal.value.code is Code.UNAVAILABLE
    assert not trusted(tmp_path).exists()


def test_nobody_is_asked_unless_it_is_wanted_and_there_is_no_chain(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    members = Members(monkeypatch, FIRST_NEW)
    settle(config(tmp_path, ""))
    (tmp_path / "genesis.json").write_text("{}")
    settle(config(tmp_path))
    assert (members.asked, trusted(tmp_path).exists()) == ([], False)


@pytest.mark.parametrize("seconds", ["0", "-1", "inf", "nan"])
def test_a_period_that_is_none_is_refused(seconds: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="snapshot_s"):
        config(tmp_path, f"snapshot_s = {seconds}")
