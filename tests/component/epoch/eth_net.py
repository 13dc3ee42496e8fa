"""A real anvil process, and made-up nodes that can register."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from eth_account import Account

from authnet_core.crypto import ecdsa, secp256k1
from authnet_core.protocol.registration import Registration, registration_digest
from authnet_runtime.ethereum import Ethereum, Sender
from authnet_runtime.registry import Registry
from authnet_runtime.registry_state import AudienceState, VerifierState
from localnet.registry_admin import NetworkSetup

# py_ecc, which eth_account imports, allows 100,000 levels: JSON nested so deep would end the process in C.
sys.setrecursionlimit(1_000)

ANVIL = Path(__file__).parents[3] / "contracts/node_modules/@foundry-rs/anvil-linux-amd64/bin/anvil"
OWNER_KEY = bytes.fromhex("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80")
"""anvil's first account: public, with money on any anvil."""
ETH_CHAIN_ID = 31337


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Anvil:
    """One anvil process that can be stopped and started again, with or without its state."""

    def __init__(self, folder: Path, *flags: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._state = folder / f"anvil-{self.port}.json"
        self._flags = flags
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *, keep_state: bool = True) -> None:
        command = [str(ANVIL), "--port", str(self.port), "--silent", "--slots-in-an-epoch", "1", *self._flags]
        # Without its state it is another chain: a first block of another time, also within the same second.
        command += ["--state", str(self._state)] if keep_state else ["--timestamp", "1600000000"]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 10
        while not self._answers():
            assert time.monotonic() < deadline, "anvil did not start"
            time.sleep(0.02)

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)
            self._process = None

    def _answers(self) -> bool:
        body = b'{"jsonrpc":"2.0","id":1,"method":"eth_chainId","params":[]}'
        request = urllib.request.Request(self.url, body, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=1):
                return True
        except OSError:
            return False


@dataclass(frozen=True)
class FakeNode:
    """The keys of a node that exists only here."""

    number: int
    operator_key: bytes
    identity_key: bytes

    @property
    def operator(self) -> str:
        return str(Account.from_key(self.operator_key).address).lower()

    def entry(self, epoch: int = 1) -> Registration:
        return Registration(
            epoch=epoch,
            operator=self.operator,
            identity=secp256k1.pub(self.identity_key).hex(),
            consensus=bytes([self.number] * 32).hex(),
            peer_id=f"16Uiu2HAm{self.number}",
            comet_id=bytes([self.number] * 20).hex(),
            p2p_addr=f"/ip4/127.0.0.1/tcp/{9000 + self.number}",
            comet_addr=f"127.0.0.1:{9100 + self.number}",
            endpoint=f"http://127.0.0.1:{9200 + self.number}",
        )

    def sign(self, registry: Registry, entry: Registration, eth_chain_id: int = ETH_CHAIN_ID) -> bytes:
        digest = registration_digest(registry.signing_request(eth_chain_id, entry))
        return ecdsa.sign_recoverable(self.identity_key, digest)

    async def register(
        self, registry: Registry, entry: Registration | None = None, signature: bytes = b"", *, update: bool = False
    ) -> None:
        entry = entry or self.entry()
        call = registry.register_call(entry, signature or self.sign(registry, entry), update=update)
        sender = Sender(registry.ethereum, self.operator_key)
        await sender.wait("register", await sender.send(call))


def fake_nodes(count: int) -> list[FakeNode]:
    return [FakeNode(j, bytes([j] * 32), bytes([100 + j] * 32)) for j in range(1, count + 1)]


MOCK_GOOGLE = VerifierState(
    name="mock-google",
    issuer="http://127.0.0.1:8788",
    jwks_url="http://127.0.0.1:8788/jwks",
    audiences=(AudienceState(aud="torus", mode="two-round"), AudienceState(aud="authnet", mode="bound")),
    id_claim="email",
    case_rule="ascii-lower",
    algorithms=("RS256", "ES256"),
    iat_limit_s=120,
)


def setup_for(nodes: list[FakeNode], network_id: str = "testnet") -> NetworkSetup:
    return NetworkSetup(network_id, tuple(node.operator for node in nodes), (MOCK_GOOGLE,))


async def mine(ethereum: Ethereum, blocks: int = 3) -> None:
    """Enough blocks that what went before is finalized."""
    await ethereum.request("anvil_mine", hex(blocks))
