"""Users beside the hand-overs: known ones who log in and look up without pause, and new ones who come now and then."""

from __future__ import annotations

import secrets
import threading
from collections import Counter
from types import TracebackType

from authnet_client import Network, SyncClient
from authnet_core.errors import AuthnetError
from tests.e2e.net import Net
from tests.e2e.travellers import VERIFIER, Travellers

KNOWN = 20
PER_S = 5.0
PAUSE_S, HURRY_S = 6.0, 0.05
"""Between two new accounts."""
AGAIN_S = 0.25
TRIES = 8


class Users:
    """Use as a context manager. `known`: accounts and addresses there were before the first hand-over."""

    def __init__(self, net: Net) -> None:
        self._net = net
        with self._client() as client:
            names = [f"voyager-{i}@example.com" for i in range(KNOWN)]
            self.known = {name: client.resolve(VERIFIER, name).address for name in names}
        self.travellers = Travellers(net, self.known, PER_S)
        self.came: dict[str, str] = {}
        """New users and the address each was given."""
        self.refused: Counter[str] = Counter()
        self.lost: Counter[str] = Counter()
        self._pause_s = PAUSE_S
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _client(self) -> SyncClient:
        return SyncClient(Network.from_file(self._net.dir / "network.json"))

    def __enter__(self) -> Users:
        self.travellers.__enter__()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join(60)
        self.travellers.__exit__(kind, error, trace)

    @property
    def wrong(self) -> list[str]:
        return self.travellers.wrong

    def __str__(self) -> str:
        new = f"new users: {len(self.came)} came, {dict(self.refused)} tried again, {dict(self.lost)} lost"
        log = "\n".join(self.travellers.log[-60:])
        return f"{self.travellers}\n{new}\n{log}"

    def hurry(self, wanted: bool) -> None:
        """New users come as fast as they can, or one now and then."""
        self._pause_s = HURRY_S if wanted else PAUSE_S

    def check(self) -> int:
        """Every new user still has the address it was given. Returns how many were asked."""
        with self._client() as client:
            for name, address in self.came.items():
                found = client.resolve(VERIFIER, name, assign=False).address
                assert found == address, f"{name}: {found} instead of {address}"
        return len(self.came)

    def _run(self) -> None:
        with self._client() as client:
            while not self._stop.wait(self._pause_s):
                self._come(client, f"newcomer-{secrets.token_hex(6)}@example.com")

    def _come(self, client: SyncClient, name: str) -> None:
        code = ""
        for _ in range(TRIES):
            try:
                self.came[name] = client.resolve(VERIFIER, name).address
            except AuthnetError as refusal:
                code = refusal.code.value
                self.refused[code] += 1
                self._stop.wait(AGAIN_S)
                continue
            return
        self.lost[code] += 1
