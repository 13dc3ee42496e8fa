"""Every retained session is read once, also when the list is long or shrinks meanwhile."""

from typing import Any

import pytest

from authnet_runtime.retained import BATCH_PAGE, RETAINED_PAGE, all_batches, all_retained, hold_all


class FakeChain:
    """A list of sessions; the first one goes after each page when it `shrinks`."""

    def __init__(self, count: int, shrinks: bool = False) -> None:
        self.sids = [f"{n}" for n in range(count)]
        self.shrinks, self.pages = shrinks, 0

    def ask(self, path: str) -> object:
        if path == "/sessions/retained/count":
            return len(self.sids)
        first, limit = map(int, path.removeprefix("/sessions/retained/").split("/"))
        page = [{"sid": sid, "holders": [1, 2]} for sid in self.sids[first : first + limit]]
        self.pages += 1
        if self.shrinks:
            del self.sids[0]
        return page


@pytest.mark.parametrize("count", [0, 1, RETAINED_PAGE, RETAINED_PAGE + 1, 7_000])
def test_all_are_read_in_as_few_pages_as_there_are(count: int) -> None:
    chain = FakeChain(count)
    assert {session["sid"] for session in all_retained(chain.ask)} == set(chain.sids)
    assert chain.pages == -(-count // RETAINED_PAGE)


def test_one_that_goes_meanwhile_hides_no_other() -> None:
    chain = FakeChain(3 * RETAINED_PAGE, shrinks=True)
    found = {session["sid"] for session in all_retained(chain.ask)}
    assert set(chain.sids) <= found


def test_a_chain_that_gives_no_answer_lists_none() -> None:
    assert all_retained(lambda path: None) == []


def test_who_holds_all() -> None:
    sessions = [{"sid": "a", "holders": [1, 2]}, {"sid": "b", "holders": [2]}]
    assert (hold_all(sessions, 1), hold_all(sessions, 2), hold_all([], 1)) == (False, True, True)


@pytest.mark.parametrize("count", [0, 1, BATCH_PAGE, 2 * BATCH_PAGE + 1])
def test_batches_are_read_page_by_page(count: int) -> None:
    batches: list[dict[str, Any]] = [{"first_index": 64 * i, "count": 64, "holders": [1]} for i in range(count)]

    def ask(path: str) -> object:
        epoch, first, limit = map(int, path.removeprefix("/batches/").split("/"))
        return [batch for batch in batches if epoch == 2 and batch["first_index"] >= first][:limit]

    assert all_batches(ask, 2) == batches
    assert all_batches(ask, 1) == [], "the first committee was brought none"
