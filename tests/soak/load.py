"""The load of a soak: new accounts at two nodes at once, and logins of known accounts, while things die.

What a node answered is remembered: at the end the chain must say the same. Refusals and dead connections are counted,
not forgiven in a result: a key that was given once is given for ever.
"""

from __future__ import annotations

import secrets
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from authnet_core.crypto.secp256k1 import pub
from tests.e2e.doors import PublicDoor, everywhere, one_round, two_rounds
from tests.e2e.net import Net
from tests.e2e.test_accounts import VERIFIER, lookup

PAUSE_S = 0.02


@dataclass
class Record:
    """What the load has seen. Guarded by `lock`."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    keys: dict[str, str] = field(default_factory=dict)
    """user -> 33-byte point in hex that some node gave."""
    doubled: list[str] = field(default_factory=list)
    logins: Counter[str] = field(default_factory=Counter)
    lookups: Counter[str] = field(default_factory=Counter)
    flying: int = 0
    wrong: list[str] = field(default_factory=list)


class Load:
    """Threads that ask until told to stop."""

    def __init__(self, net: Net, seed: int, pause_s: float = PAUSE_S, lookers: int = 2, users: int = 2) -> None:
        self._net, self._pause_s = net, pause_s
        self._door = PublicDoor(net)
        self._stop = threading.Event()
        self.record = Record()
        work: list[Callable[[Random], None]] = [self._look_up] * lookers + [self._log_in] * users
        self._threads = [
            threading.Thread(target=self._run, args=(act, Random(seed * 1000 + i)), daemon=True)
            for i, act in enumerate(work)
        ]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(60)

    def _run(self, act: Callable[[Random], None], random: Random) -> None:
        while not self._stop.is_set():
            act(random)
            self._stop.wait(self._pause_s)

    def _look_up(self, random: Random) -> None:
        user = f"soak-{secrets.token_hex(6)}@example.com"
        nodes = random.sample(list(self._net.indexes), 2)
        for answer in everywhere(nodes, lambda j: self._ask(j, user)).values():
            with self.record.lock:
                if len(answer) == 66:
                    self._remember(user, answer)
                    answer = "ok"
                self.record.lookups[answer] += 1

    def _remember(self, user: str, key: str) -> None:
        if self.record.keys.setdefault(user, key) != key:
            self.record.doubled.append(user)

    def _ask(self, j: int, user: str) -> str:
        """The key, or why there is none."""
        answer, found = self._door.call(j, "GetPubKeyOrKeyAssign", lookup(user)["params"])
        if answer.code:
            return answer.code
        key = found["keys"][0]
        parity = "03" if int(key["pub_key_Y"], 16) & 1 else "02"
        return parity + key["pub_key_X"].zfill(64)

    def _log_in(self, random: Random) -> None:
        with self.record.lock:
            known = list(self.record.keys.items())
        if not known:
            return
        user, key = random.choice(known)
        way = random.choice((one_round, two_rounds))
        with self.record.lock:
            self.record.flying += 1
        outcome = self._try_login(way, user, key)
        with self.record.lock:
            self.record.flying -= 1
            self.record.logins[f"{way.__name__} {outcome}"] += 1
            if outcome == "wrong key":
                self.record.wrong.append(user)

    def _try_login(self, way: Callable[..., int], user: str, key: str) -> str:
        try:
            secret = way(self._door, user, VERIFIER)
        except AssertionError:
            return "refused"
        return "ok" if pub(secret).hex() == key else "wrong key"
