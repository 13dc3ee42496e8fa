"""The real process: what it says before any chain exists, what it refuses to start on, how it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from authnet_core.crypto import ecdsa
from authnet_core.errors import AuthnetError, Code
from authnet_core.protocol.registration import parse_fields, registration_digest
from authnet_core.wire import authnet_pb2 as pb
from authnet_runtime.rpc_client import RpcClient
from tests.component.keeper.meshes import free_port

TOML = """
[node]
network_id = "test"
dev = {dev}
[ethereum]
rpc = "http://127.0.0.1:1"
registry = "0x00"
chain_id = 1
[p2p]
listen = "/ip4/127.0.0.1/tcp/{port}"
[api]
listen = "127.0.0.1:{api}"
endpoint = "http://127.0.0.1:{api}"
[cometbft]
p2p = "127.0.0.1:{api}"
[keeper]
scrypt_n = 2
"""
PASSPHRASE = "a passphrase nobody logs"


class Keeper:
    """One process in a folder of its own."""

    def __init__(self, folder: Path, *, dev: str = "true") -> None:
        self.folder = folder
        folder.chmod(0o700)
        (folder / "node.toml").write_text(TOML.format(dev=dev, port=free_port(), api=free_port()))
        self.passphrase = folder / "passphrase"
        self.passphrase.write_text(PASSPHRASE + "\n")
        self.passphrase.chmod(0o600)
        self.process: subprocess.Popen[bytes] | None = None
        self.log = folder / "log"

    def start(self, *args: str, **more: Any) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "p2p_dkg", str(self.folder / "node.toml"), *args]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, stderr=log, stdout=log, **more)
        return self.process

    def ends(self, within: float = 90) -> int:
        assert self.process is not None
        return self.process.wait(within)

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)

    def call(self, method: str, params: dict[str, Any] | None = None, sock: str = "ops.sock") -> Any:
        async def ask() -> Any:
            async with RpcClient(self.folder / "run" / sock) as client:
                with anyio.fail_after(60):
                    await client.connected.wait()
                try:
                    return await client.call(method, params)
                except AuthnetError as refusal:
                    return refusal

        deadline = time.monotonic() + 60
        while not (self.folder / "run" / "api.sock").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        answer = anyio.run(ask)
        if isinstance(answer, AuthnetError):
            raise answer
        return answer

    def refused(self, method: str, params: dict[str, Any] | None = None, sock: str = "ops.sock") -> Code:
        with pytest.raises(AuthnetError) as caught:
            self.call(method, params, sock)
        return caught.value.code

    def text(self) -> str:
        return self.log.read_text()


@pytest.fixture(scope="module")
def running() -> Iterator[Keeper]:
    """A started keeper that tests only ask."""
    with tempfile.TemporaryDirectory(prefix="an") as folder:
        one = Keeper(Path(folder))
        one.start()
        yield one
        one.stop()


@pytest.fixture
def keeper() -> Iterator[Keeper]:
    with tempfile.TemporaryDirectory(prefix="an") as folder:
        one = Keeper(Path(folder))
        yield one
        one.stop()


def registration(keeper: Keeper, **changes: Any) -> dict[str, Any]:
    own = keeper.call("identity")
    entry = {
        "epoch": 1, "operator": "0x" + "11" * 20, "identity": own["identity_pub"], "consensus": "22" * 32,
        "peer_id": own["peer_id"], "comet_id": "33" * 20, "p2p_addr": "/ip4/127.0.0.1/tcp/1",
        "comet_addr": "127.0.0.1:2", "endpoint": "http://127.0.0.1:3",
    }  # fmt: skip
    return {"eth_chain_id": 1, "registry": "0x" + "44" * 20, "registration": {**entry, **changes}}


def test_it_answers_before_there_is_a_chain(running: Keeper) -> None:
    status = running.call("status", sock="api.sock")
    assert status["chain_ready"] is status["login_ready"] is False
    assert status["node_index"] == 0
    assert running.refused("epoch") is Code.UNAVAILABLE
    account = {"verifier": "v", "account_id": "00" * 32, "curve": "secp256k1", "purpose": "login"}
    assert running.refused("assign", account, "api.sock") is Code.UNAVAILABLE
    assert running.refused("commit", {}, "api.sock") is Code.UNAVAILABLE
    assert running.refused("share", {}, "api.sock") is Code.UNAVAILABLE
    assert running.refused("dev_shares") is Code.UNAVAILABLE
    assert running.refused("self_test") is Code.UNAVAILABLE  # no committee yet, whatever kind of network
    assert running.refused("self_test", {"sample": 17}) is Code.BAD_PARAMS
    assert "authnet_peers_connected" in running.call("metrics", sock="api.sock")


def test_it_signs_its_own_registration_and_no_other(running: Keeper) -> None:
    fields = registration(running)
    signature = bytes.fromhex(running.call("sign_registration", fields)["signature"])
    pub = bytes.fromhex(running.call("identity")["identity_pub"])
    assert ecdsa.verify_recoverable(pub, registration_digest(parse_fields(fields)), signature)
    other = "02" + "79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"
    assert running.refused("sign_registration", registration(running, identity=other)) is Code.FORBIDDEN
    assert running.refused("sign_registration", registration(running, peer_id="12D3KooX")) is Code.FORBIDDEN
    assert running.refused("sign_registration", registration(running, comet_id="zz")) is Code.BAD_PARAMS
    assert running.refused("sign_registration", {"digest": "00" * 32}) is Code.BAD_PARAMS
    assert running.refused("sign", {"digest": "00" * 32}) is Code.UNKNOWN_METHOD


@pytest.mark.parametrize(
    ("params", "code"),
    [({}, Code.BAD_PARAMS), ({"record": "zz"}, Code.BAD_PARAMS), ({"record": "00"}, Code.DECODE)],
)
def test_bad_observations_are_refused(running: Keeper, params: dict[str, Any], code: Code) -> None:
    assert running.refused("observe", params) is code
    assert running.refused("saw_epoch", params) is code


def test_a_sighting_is_taken_before_there_is_a_chain(running: Keeper) -> None:
    record = pb.Record(epoch=pb.EpochRecord(epoch=2, n=5, k=3, t=1, previous=1))
    shown = {"record": record.SerializeToString(deterministic=True).hex()}
    assert running.call("saw_epoch", shown) == {"epoch": 2, "is_new": True}
    assert running.call("saw_epoch", shown) == {"epoch": 2, "is_new": False}
    verifier = pb.Record(verifier=pb.VerifierRecord(name="mock", version=1))
    other = {"record": verifier.SerializeToString(deterministic=True).hex()}
    assert running.refused("saw_epoch", other) is Code.BAD_PARAMS
    assert running.refused("saw_epoch", {"record": "00" * 70_000}) is Code.TOO_LARGE


@pytest.mark.parametrize(
    "params",
    [{}, {"verifier": 1}, {"verifier": "v", "account_id": "zz", "more": 1}, {"verifier": "v", "account_id": None}],
)
def test_bad_assign_parameters_are_refused(running: Keeper, params: dict[str, Any]) -> None:
    assert running.refused("assign", params, "api.sock") is Code.BAD_PARAMS


def test_operators_methods_are_not_on_the_public_socket(running: Keeper) -> None:
    for method in ("observe", "sign_registration", "identity", "drain", "self_test", "dev_shares", "dev_secrets"):
        assert running.refused(method, {}, "api.sock") is Code.UNKNOWN_METHOD


def test_secrets_are_shown_on_a_development_network_only() -> None:
    with tempfile.TemporaryDirectory(prefix="an") as folder:
        keeper = Keeper(Path(folder), dev="false")
        keeper.start()
        try:
            assert keeper.refused("dev_secrets") is Code.NOT_DEV
            assert keeper.refused("dev_shares") is Code.NOT_DEV
        finally:
            keeper.stop()


def test_no_secret_is_in_any_file_or_log(keeper: Keeper) -> None:
    keeper.start()
    secrets = [bytes.fromhex(text) for text in keeper.call("dev_secrets")["secrets"]]
    assert PASSPHRASE.encode() in secrets
    keeper.call("sign_registration", registration(keeper))
    keeper.process.kill()  # type: ignore[union-attr]
    for path in (p for p in keeper.folder.rglob("*") if p.is_file() and p != keeper.passphrase):
        content = path.read_bytes()
        for secret in secrets:
            forms = (secret, secret.hex().encode(), str(int.from_bytes(secret, "big")).encode())
            assert not any(form in content for form in forms), path.name


def test_a_wrong_passphrase_ends_it_with_two(keeper: Keeper) -> None:
    keeper.start()
    keeper.call("identity")
    keeper.stop()
    keeper.passphrase.write_text("another one\n")
    keeper.start()
    assert keeper.ends() == 2
    assert "WRONG_PASSPHRASE" in keeper.text()
    assert "another one" not in keeper.text()
    assert PASSPHRASE not in keeper.text()


@pytest.mark.parametrize("name", ["passphrase", "keeper/node.keys", "keeper"])
def test_wrong_file_modes_end_it_with_two(keeper: Keeper, name: str) -> None:
    keeper.start()
    keeper.call("identity")
    keeper.stop()
    path = keeper.folder / name
    path.chmod(0o755 if path.is_dir() else 0o644)
    keeper.start()
    assert keeper.ends() == 2
    assert "FILE_MODE" in keeper.text()
    assert name in keeper.text()


def test_a_taken_port_ends_it_with_two(keeper: Keeper) -> None:
    keeper.start()
    keeper.call("identity")
    with tempfile.TemporaryDirectory(prefix="an") as folder:
        other = Keeper(Path(folder))
        (other.folder / "node.toml").write_text((keeper.folder / "node.toml").read_text())
        other.start()
        assert other.ends() == 2
        assert "p2p.listen" in other.text()


def test_two_processes_never_share_a_keystore(keeper: Keeper) -> None:
    first = keeper.start()
    keeper.call("identity")
    (keeper.folder / "node.toml").write_text(TOML.format(dev="true", port=free_port(), api=free_port()))
    keeper.start()
    assert keeper.ends() == 2
    assert "another process uses this keystore" in keeper.text()
    first.kill()
    first.wait(10)


def test_sigterm_is_a_clean_end(keeper: Keeper) -> None:
    process = keeper.start()
    keeper.call("identity")
    process.send_signal(signal.SIGTERM)
    assert keeper.ends() == 0
    assert not list((keeper.folder / "run").glob("*.sock"))
    assert "Traceback" not in keeper.text()


def test_it_ends_with_its_supervisor(keeper: Keeper) -> None:
    reading, writing = os.pipe()
    keeper.start("--supervised-fd", str(reading), pass_fds=(reading,))
    os.close(reading)
    keeper.call("identity")
    os.close(writing)
    assert keeper.ends() == 0


def test_it_can_not_be_dumped_or_attached(running: Keeper) -> None:
    running.call("identity")
    assert running.process is not None
    process = running.process
    limits = Path(f"/proc/{process.pid}/limits").read_text()
    core = next(line for line in limits.splitlines() if line.startswith("Max core file size"))
    assert core.split()[4:6] == ["0", "0"]
    # files of a process that is not dumpable belong to root
    assert os.geteuid() == 0 or Path(f"/proc/{process.pid}/maps").stat().st_uid == 0


def test_the_log_is_one_json_object_a_line(keeper: Keeper) -> None:
    process = keeper.start()
    keeper.call("identity")
    process.send_signal(signal.SIGTERM)
    keeper.ends()
    lines = [json.loads(line) for line in keeper.text().splitlines()]
    assert {"keeper.listening", "keeper.ending"} <= {line["event"] for line in lines}
