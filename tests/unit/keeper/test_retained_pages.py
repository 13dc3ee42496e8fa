"""Sessions that members are short of are read page by page, and none is overlooked while the list changes."""

from __future__ import annotations

from typing import Any

import trio

from authnet_core.protocol.views import RetainedView
from authnet_runtime.retained import RETAINED_PAGE
from p2p_dkg.runner.upkeep import Upkeep


class Chain:
    """Answers from a list that loses an early session after each page."""

    def __init__(self, count: int, loses: bool) -> None:
        self.sids = [f"{number:064x}" for number in range(count)]
        self.loses = loses
        self.pages: list[int] = []

    async def query(self, path: str, kind: Any) -> Any:
        await trio.lowlevel.checkpoint()
        if path == "/sessions/retained/count":
            return len(self.sids)
        first, limit = map(int, path.removeprefix("/sessions/retained/").split("/"))
        found = [RetainedView(sid=s, epoch=1, counter=int(s, 16), holders=(1,), final_ms=1) for s in self.sids]
        self.pages.append(limit)
        page = found[first : first + limit]
        if self.loses:
            del self.sids[0]
            self.sids.append(f"{9_000 + len(self.pages):064x}")
        return page


def read(chain: Chain) -> set[int]:
    nobody: Any = None
    sessions: Any = type("Sessions", (), {})()
    any_chain: Any = chain
    keeper = Upkeep(any_chain, nobody, nobody, (sessions, sessions), nobody)
    return {view.counter for view in trio.run(keeper._retained)}


def test_all_pages_are_read() -> None:
    for count in (0, 1, RETAINED_PAGE, RETAINED_PAGE + 1, 7_000):
        chain = Chain(count, loses=False)
        assert read(chain) == set(range(count))
        assert len(chain.pages) == -(-count // RETAINED_PAGE)


def test_what_stays_on_the_list_is_seen_though_others_go() -> None:
    """A session that was overlooked would cost this node its encryption key of it."""
    chain = Chain(1_000, loses=True)
    found = read(chain)
    assert {int(sid, 16) for sid in chain.sids if int(sid, 16) < 9_000} <= found
