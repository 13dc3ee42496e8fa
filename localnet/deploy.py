"""Deploy the registry of a localnet and announce its first epoch. A process of its own: eth_abi is heavy.

python -m localnet.deploy DIR
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from authnet_core.crypto.address import eip55_address
from authnet_core.crypto.secp256k1 import pub
from authnet_runtime.eth_transaction import created_address
from authnet_runtime.node_folder import write_secret
from authnet_runtime.registry_state import AudienceState, VerifierState
from localnet import ethereum
from localnet.idp import VERIFIERS
from localnet.places import Places, load

IAT_LIMIT_S = 120


def owner_key(places: Places) -> bytes:
    """The registry owner's Ethereum key, made at the first call."""
    import secrets

    write_secret(places.eth / "owner.key", secrets.token_hex(32))
    return read_key(places.eth / "owner.key")


def read_key(path: Path) -> bytes:
    return bytes.fromhex(path.read_text().strip())


def address_of(key: bytes) -> str:
    """The Ethereum address of a private key."""
    return eip55_address(pub(key)).lower()


def registry_address(owner: str) -> str:
    """Where the owner's first transaction puts the contract: nodes can be configured before it is there."""
    return created_address(owner, 0)


def is_deployed(places: Places) -> bool:
    """Whether the contract is on the chain as it is now: the newest second of a killed anvil is lost."""
    address = registry_address(address_of(owner_key(places)))
    return places.registry_file.exists() and len(ethereum.call(places.eth_rpc, "eth_getCode", address, "latest")) > 2


def verifiers(issuer: str) -> tuple[VerifierState, ...]:
    """Records of the local identity provider."""
    return tuple(
        VerifierState(
            name=name,
            issuer=issuer,
            jwks_url=f"{issuer}/.well-known/jwks.json",
            audiences=(
                AudienceState(aud=client.two_round, mode="two-round"),
                AudienceState(aud=client.bound, mode="bound"),
            ),
            id_claim=client.id_claim,
            case_rule="ascii-lower" if client.id_claim == "email" else "exact",
            algorithms=("RS256", "ES256"),
            iat_limit_s=IAT_LIMIT_S,
        )
        for name, client in VERIFIERS.items()
    )


async def deploy(places: Places) -> None:
    """Fund the owner and the operators, deploy, announce epoch 1, add the verifiers."""
    from authnet_runtime.ethereum import Ethereum
    from localnet.registry_admin import NetworkSetup, RegistryAdmin

    key = owner_key(places)
    operators = tuple(address_of(read_key(places.node_dir(i) / "eth.key")) for i in places.committee(1))
    setup = NetworkSetup(places.network_id, operators, verifiers(places.front), fund=False)
    async with Ethereum(places.eth_rpc) as eth:
        admin = RegistryAdmin(eth, key)
        for address in (admin.owner, *operators):
            ethereum.fund(places.eth_rpc, address)
        registry = await admin.set_up(setup)
        chain_id = await eth.chain_id()
    body = {"schema": 1, "address": registry.address, "chain_id": chain_id}
    places.registry_file.write_text(json.dumps(body) + "\n")


if __name__ == "__main__":
    found = load(Path(sys.argv[1]))
    if found is None:
        sys.exit("no localnet.json there")
    asyncio.run(deploy(found))
