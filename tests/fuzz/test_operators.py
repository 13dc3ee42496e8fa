"""What a node reads at home and from Ethereum: settings, keystore, own records, the registry, evidence of others."""

from __future__ import annotations

import asyncio
import contextlib
import json
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from eth_abi.abi import encode

from authnet_core.errors import AuthnetError, Code, ConfigError
from authnet_core.wire.blame import verify
from authnet_runtime.config import parse_node
from authnet_runtime.contract import artifact, canonical_type
from authnet_runtime.ethereum import BlockRef, Ethereum
from authnet_runtime.registry import Registry
from authnet_runtime.registry_state import epoch_record, verifier_record
from epoch_manager import comet_keys, files
from p2p_dkg.keystore.sessions import BRIEF
from p2p_dkg.keystore.store import Keystore, SeenBlock, open_keystore
from tests.fuzz.target import Target
from tests.unit.abci.test_blame import build, evidence
from tests.unit.abci.test_reshare_blame import build as build_moved
from tests.unit.runtime.test_config import GOOD

SID = bytes(range(32))


# node.toml


def check_settings(raw: bytes) -> None:
    try:
        config = parse_node(raw.decode("utf-8", "replace"), Path("/srv/node"))
    except ConfigError as mistake:
        assert mistake.message  # noqa: PT017
        return
    assert config.toml.api.rate_per_s > 0


# the keystore: whatever one file holds, what is read is what was stored, or a code


@cache
def keystore() -> tuple[Path, dict[str, bytes]]:
    """The folder and the content of its files."""
    folder = Path(tempfile.mkdtemp(prefix="fuzz-keys-"))
    (folder / "passphrase").write_text("correct horse\n")
    (folder / "passphrase").chmod(0o600)
    store = opened(folder)
    store.session(SID).put(BRIEF, "deal", b"deal of mine")
    store.epoch(1).put_batch(SID, b"s" * 128)
    store.epoch(1).waiting.put({7: b"w" * 32})
    store.epoch(1).service(create=True)
    store.see(SeenBlock(9, 1234, "aa"))
    paths = sorted(path for path in (folder / "keeper").rglob("*") if path.is_file() and path.stat().st_size)
    return folder, {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def opened(folder: Path) -> Keystore:
    store = open_keystore(folder / "keeper", "test", folder / "passphrase", 2)
    store.bind_chain("test-1", 1)
    return store


def everything(folder: Path) -> dict[str, Any]:
    store = opened(folder)
    service = store.epoch(1).service()
    return {
        "identity": store.identity.pub,
        "seen": store.seen,
        "session": store.session(SID).load(),
        "batch": store.epoch(1).batch(SID),
        "waiting": store.epoch(1).waiting.secrets,
        "service": None if service is None else service.pub,
    }


@cache
def truth() -> dict[str, Any]:
    return everything(keystore()[0])


def check_keystore(raw: bytes) -> None:
    """The first byte says which file has the rest as its content."""
    folder, contents = keystore()
    expected = truth()
    name = sorted(contents)[raw[0] % len(contents)] if raw else sorted(contents)[0]
    path = folder / name
    try:
        path.write_bytes(raw[1:])
        found = everything(folder)
    except AuthnetError as refusal:
        assert refusal.code in {Code.KEYSTORE_DAMAGED, Code.WRONG_PASSPHRASE}  # noqa: PT017
    else:
        assert found == expected, f"{name}: garbage was accepted"
    finally:
        for each, content in contents.items():
            (folder / each).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            (folder / each).write_bytes(content)
            (folder / each).chmod(0o600)


def _key_files() -> tuple[bytes, ...]:
    _, contents = keystore()
    return tuple(bytes([place]) + contents[name] for place, name in enumerate(sorted(contents)))


# the epoch manager's files


def check_files(raw: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        path.write_bytes(raw)
        path.chmod(0o600)
        files.load_journal(path, "0x1")
        readers: tuple[Callable[[Path], Any], ...] = (
            lambda p: files.load_params(p, dev=True),
            files.load_eth_key,
            comet_keys._public_of,
        )
        for read in readers:
            with contextlib.suppress(AuthnetError):
                read(path)


def _files() -> tuple[bytes, ...]:
    comet = {"address": "AA", "priv_key": {"type": "t", "value": "A" * 86 + "=="}}
    journal = {"registry": "0x1", "first_hash": "0x", "number": 1, "hash": "0x2"}
    return (json.dumps(journal).encode(), b'{"quota":5}', b"0x" + b"11" * 32, json.dumps(comet).encode())


# the registry contract, through the operator's Ethereum node


def _sample(entry: dict[str, Any]) -> Any:
    kind = str(entry["type"])
    if kind.endswith("[]"):
        inner = entry | {"type": kind[:-2]}
        return [_sample(inner), _sample(inner)]
    if kind == "tuple":
        return tuple(_sample(part) for part in entry["components"])
    if kind.startswith(("uint", "int")):
        return 1
    if kind.startswith("bytes"):
        return bytes(int(kind[5:] or 3))
    return {"bool": True, "address": "0x" + "11" * 20, "string": "name"}[kind]


def _outputs(name: str) -> bytes:
    entry = next(each for each in artifact()["abi"] if each.get("name") == name and each["type"] == "function")
    return encode([canonical_type(each) for each in entry["outputs"]], [_sample(each) for each in entry["outputs"]])


def _ask(answer: dict[str, Any]) -> list[Any]:
    """Everything that is asked of the registry, at a node that always answers this."""

    async def ask() -> list[Any]:
        ethereum = Ethereum("http://127.0.0.1:1")

        async def post(_: dict[str, Any]) -> Any:
            return {"jsonrpc": "2.0", "id": 1} | answer

        ethereum._post = post  # type: ignore[method-assign]
        registry = Registry(ethereum, "0x" + "22" * 20)
        found = []
        block = BlockRef(1, "0x" + "33" * 32, 0)
        asked = (
            lambda: registry.epoch(1, block),
            lambda: registry.verifiers(block),
            lambda: registry.last_epoch(block),
            lambda: registry.next_change_s("google", block),
            registry.network,
            ethereum.chain_id,
            lambda: ethereum.block("finalized"),
            lambda: registry.has_changed(1, 2),
        )
        for question in asked:
            try:
                found.append(await question())
            except AuthnetError:
                found.append(None)
        return found

    return asyncio.run(ask())


def check_contract(raw: bytes) -> None:
    epoch, verifiers, *_ = _ask({"result": "0x" + raw.hex()})
    if epoch is not None:
        with contextlib.suppress(AuthnetError):
            epoch_record(epoch)
    for verifier in (verifiers or ())[:4]:
        verifier_record(verifier)


def check_revert(raw: bytes) -> None:
    _ask({"error": {"code": 3, "message": "execution reverted", "data": "0x" + raw.hex()}})


def check_ethereum(raw: bytes) -> None:
    """Any JSON at all as the node's answer."""
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError):
        return
    _ask(value if isinstance(value, dict) else {"result": value})


def _contract() -> tuple[bytes, ...]:
    return tuple(_outputs(name) for name in ("getEpoch", "getVerifiers", "getPending", "networkId"))


# evidence of a conviction


@cache
def _evidence() -> tuple[bytes, ...]:
    """Of the key generation, then of a resharing."""
    found: list[bytes] = []
    for make, count in ((build, 2), (build_moved, 3)):
        world = make(Path(tempfile.mkdtemp(prefix="fuzz-blame-")))
        found += [json.dumps(evidence(world, number)).encode() for number in range(count)]
        world.app.close()
    return tuple(found)


def check_evidence(raw: bytes) -> None:
    try:
        verdict = verify(raw)
    except AuthnetError as refusal:
        assert refusal.code is Code.EVIDENCE_INVALID  # noqa: PT017
        return
    assert (verdict.convict, verdict.upheld) in {(2, True), (3, True), (4, False)}, "evidence against somebody else"


ANSWERS = (
    b'{"result": {"number": "0x1", "hash": "0x2", "timestamp": "0x3"}}',
    b'{"result": "0x1"}',
    b'{"error": {"code": 3, "message": "execution reverted", "data": "0x08c379a0"}}',
    b'{"result": null}',
)
TARGETS = (
    Target("settings", "text", lambda: (GOOD.encode(),), check_settings, 100),
    Target("keystore", "bytes", _key_files, check_keystore, 60),
    Target("manager_files", "json", _files, check_files, 60),
    Target("contract", "bytes", _contract, check_contract, 40),
    Target("reverts", "bytes", lambda: (bytes.fromhex("08c379a0") + encode(["string"], ["no"]),), check_revert, 25),
    Target("ethereum", "json", lambda: ANSWERS, check_ethereum, 40),
    Target("evidence", "json", _evidence, check_evidence, 60),
)


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_what_a_node_reads(target: Target) -> None:
    target.slice()
