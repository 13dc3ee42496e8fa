"""genesis.json and the records: the same bytes for everybody, or a refusal by name."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from msgspec.structs import replace

from authnet_core.crypto import secp256k1
from authnet_core.errors import AuthnetError, Code
from authnet_core.protocol.registration import Registration
from authnet_core.wire.tx import decode_record
from authnet_runtime.genesis import derive_genesis
from authnet_runtime.registry_state import (
    AudienceState,
    EpochState,
    EpochStatus,
    VerifierState,
    epoch_record,
    verifier_record,
)
from epoch_manager.files import settle_genesis

FIXED = "32db20ac72c2d3bcccce0f2cdfe3eedc6b5ef0efb61a4727b661e9cd33f3ab73"
REGISTRY = "0x5FBDB2315678afecb367f032d93f642f64180aa3"


def member(j: int) -> Registration:
    return Registration(
        epoch=1,
        operator="0x" + bytes([j] * 20).hex(),
        identity=secp256k1.pub(bytes([j] * 32)).hex(),
        consensus=bytes([j] * 32).hex(),
        peer_id=f"16Uiu2HAm{j}",
        comet_id=bytes([j] * 20).hex(),
        p2p_addr=f"/ip4/127.0.0.1/tcp/{9000 + j}",
        comet_addr=f"127.0.0.1:{9100 + j}",
        endpoint=f"http://127.0.0.1:{9200 + j}",
    )


def epoch(n: int = 5, k: int = 3, t: int = 1) -> EpochState:
    return EpochState(
        epoch=1,
        n=n,
        k=k,
        t=t,
        previous=0,
        next=0,
        notice_s=0,
        status=EpochStatus.STARTED,
        start_when_full=True,
        started_at=1_800_000_000,
        started_block=9,
        operators=(),
        members=tuple(member(j) for j in range(1, n + 1)),
    )


def derive(state: EpochState, *, dev: bool = True, params: dict[str, int] | None = None) -> bytes:
    return derive_genesis(state, network_id="testnet", dev=dev, eth_chain_id=31337, registry=REGISTRY, params=params)


def refusal_of(state: EpochState, *, dev: bool = True, params: dict[str, int] | None = None) -> Code:
    with pytest.raises(AuthnetError) as refusal:
        derive(state, dev=dev, params=params)
    return refusal.value.code


def test_the_bytes_are_fixed() -> None:
    assert (
        hashlib.sha256(derive(epoch())).hexdigest()
        == "32db20ac72c2d3bcccce0f2cdfe3eedc6b5ef0efb61a4727b661e9cd33f3ab73"
    )


def test_validators_and_observers_stand_in_party_order() -> None:
    genesis = json.loads(derive(epoch()))
    assert genesis["chain_id"] == "testnet-1"
    assert genesis["genesis_time"] == "2027-01-15T08:00:00Z"
    assert [v["power"] for v in genesis["validators"]] == ["1"] * 5
    assert genesis["app_state"]["observers"] == [m.identity for m in epoch().members]
    assert genesis["app_state"]["registry"] == REGISTRY.lower()
    assert genesis["consensus_params"]["block"]["max_bytes"] == "2097152"


def test_a_successor_announced_later_changes_nothing() -> None:
    later = replace(epoch(), next=2)
    assert derive(later) == derive(epoch())
    assert epoch_record(later) == epoch_record(epoch())


@pytest.mark.parametrize("status", [EpochStatus.OPEN, EpochStatus.ABORTED])
def test_refuses_an_epoch_that_has_not_started(status: EpochStatus) -> None:
    assert refusal_of(replace(epoch(), status=status)) is Code.EPOCH_NOT_STARTED


def test_refuses_an_epoch_with_a_member_missing() -> None:
    assert refusal_of(replace(epoch(), members=epoch().members[:4])) is Code.EPOCH_NOT_STARTED


@pytest.mark.parametrize(("n", "k", "t"), [(5, 2, 1), (5, 3, 0), (6, 3, 1), (9, 5, 1)])
def test_refuses_thresholds_off_the_formula(n: int, k: int, t: int) -> None:
    assert refusal_of(epoch(n, k, t)) is Code.RECORD_REFUSED


def test_a_forkable_size_needs_a_dev_parameter() -> None:
    assert refusal_of(epoch(7, 4, 1)) is Code.RECORD_REFUSED
    assert refusal_of(epoch(7, 4, 1), dev=False, params={"allow_forkable": 1}) is Code.NOT_DEV
    assert len(json.loads(derive(epoch(7, 4, 1), params={"allow_forkable": 1}))["validators"]) == 7


def test_only_a_dev_network_overrides_parameters() -> None:
    assert refusal_of(epoch(), dev=False, params={"pool_low": 1}) is Code.NOT_DEV
    assert json.loads(derive(epoch(), params={"b": 2, "a": 1}))["app_state"]["params"] == {"a": 1, "b": 2}
    assert derive(epoch(), params={"b": 2, "a": 1}) == derive(epoch(), params={"a": 1, "b": 2})


def test_an_epoch_record_is_canonical_and_names_every_member() -> None:
    record = decode_record(epoch_record(epoch())).epoch
    assert [m.index for m in record.members] == [1, 2, 3, 4, 5]
    assert record.members[2].comet_addr == "03" * 20 + "@127.0.0.1:9103"
    assert record.members[2].identity == secp256k1.pub(bytes([3] * 32))


def test_a_verifier_record_is_canonical() -> None:
    state = VerifierState(
        name="google",
        issuer="https://a.example",
        jwks_url="https://a.example/jwks",
        audiences=(AudienceState(aud="x", mode="bound"),),
        id_claim="sub",
        case_rule="exact",
        algorithms=("RS256",),
        iat_limit_s=60,
        version=3,
        effective_at=12,
    )
    record = decode_record(verifier_record(state)).verifier
    assert (record.name, record.version, record.audiences[0].mode) == ("google", 3, "bound")
    assert verifier_record(replace(state, effective_at=99)) == verifier_record(state)
    assert verifier_record(replace(state, removed=True)) != verifier_record(state)


def _moved(derived: bytes, **changes: object) -> bytes:
    genesis = json.loads(derived)
    genesis["chain_id"] = changes.pop("chain_id", f"{genesis['app_state']['network_id']}-2")
    genesis["app_state"] |= {"imported": {"signatures": {}}, "params": {}, "observers": [], **changes}
    return json.dumps(genesis).encode()


def test_a_later_chain_of_the_same_network_is_accepted_and_no_other(tmp_path: Path) -> None:
    """abci_app checks its signatures; here it is only not mistaken for a foreign one."""
    path, derived = tmp_path / "genesis.json", derive(epoch())
    path.write_bytes(_moved(derived))
    assert settle_genesis(path, derived) is False
    first = json.loads(derived)["chain_id"]
    for wrong in (
        _moved(derived, chain_id=first),
        _moved(derived, registry="0x01"),
        _moved(derived, network_id="other"),
        _moved(derived, eth_chain_id=7),
        _moved(derived, imported=None),
        b"[]",
    ):
        path.write_bytes(wrong)
        with pytest.raises(AuthnetError) as refusal:
            settle_genesis(path, derived)
        assert refusal.value.code is Code.GENESIS_MISMATCH
        assert path.read_bytes() == wrong
