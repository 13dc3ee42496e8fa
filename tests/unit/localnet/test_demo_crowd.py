"""The demo's crowd: who gets no answer asks again, and what is refused ends the story with its reason."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any, cast

import pytest

from authnet_client import Client
from authnet_core.errors import AuthnetError, Code
from localnet.demo_crowd import CROWD_AT_ONCE, TRIES, at_once, look_up_all


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@dataclass
class Found:
    address: str


class Wallets:
    """A client whose look-ups fail as often as `silent` says, or are refused."""

    def __init__(self, silent: int, code: Code = Code.TIMEOUT) -> None:
        self._silent, self._code = silent, code
        self.asked: Counter[str] = Counter()

    async def resolve(self, _: str, name: str) -> Found:
        self.asked[name] += 1
        if self.asked[name] <= self._silent:
            raise AuthnetError(self._code, "no answer in 20 s")
        return Found(f"0x{name}")


@pytest.mark.anyio
@pytest.mark.parametrize("silent", [0, 1, TRIES - 1])
async def test_who_gets_no_answer_asks_again(silent: int) -> None:
    wallets = Wallets(silent)
    seen, again = await look_up_all(cast(Client, wallets), ["a", "b", "c"], 2)
    assert (seen, again) == ({"0xa", "0xb", "0xc"}, 3 if silent else 0)
    assert set(wallets.asked.values()) == {silent + 1}


@pytest.mark.anyio
@pytest.mark.parametrize(("silent", "code"), [(TRIES, Code.TIMEOUT), (1, Code.NODES_DISAGREE)])
async def test_what_does_not_come_true_is_one_refusal(silent: int, code: Code) -> None:
    with pytest.raises(AuthnetError) as caught:
        await look_up_all(cast(Client, Wallets(silent, code)), ["a", "b"], 2)
    assert caught.value.code is code


def test_fewer_ask_together_while_others_leave() -> None:
    def status(*nodes: tuple[str, int]) -> dict[str, Any]:
        return {"nodes": [{"state": state, "party": party} for state, party in nodes]}

    assert at_once(status(("up", 1), ("up", 2), ("retired", 0), ("killed", 0))) == CROWD_AT_ONCE
    assert at_once(status(("up", 1), ("up", 2), ("up", 0))) < CROWD_AT_ONCE / 2
