"""What must hold after hand-overs under kills, whoever died: keys, users, app hashes, and old shares gone for good."""

from __future__ import annotations

import asyncio
import itertools
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import msgspec

from authnet_client import Network, SyncClient
from authnet_core.crypto import secp256k1
from authnet_core.errors import AuthnetError
from authnet_core.protocol.views import EpochView, VerifierView
from authnet_runtime.ethereum import Ethereum
from authnet_runtime.registry import Registry
from authnet_runtime.rpc_once import call_once
from localnet.deploy import owner_key
from localnet.hashes import app_hashes
from localnet.registry_admin import RegistryAdmin
from p2p_dkg.keystore.sealing import Box
from tests.e2e.handovers import keys_of
from tests.e2e.keeper_files import opened_copy
from tests.e2e.key_checks import secret_of
from tests.e2e.net import Net, wait_for
from tests.e2e.secrets_of_run import Finder
from tests.e2e.travellers import VERIFIER
from tests.soak.handovers.scene import Scene
from tests.soak.handovers.users import Users

IAT_LIMIT_S = 30
"""Of every verifier, so that a grace is short."""
SAMPLED_USERS = 4
PAGE = 2000


def shorten_tokens(net: Net) -> None:
    """As the registry's owner: tokens are taken for IAT_LIMIT_S only."""
    scene = Scene(net)

    async def change() -> None:
        async with Ethereum(scene.places.eth_rpc) as eth:
            admin = RegistryAdmin(eth, owner_key(scene.places))
            registry = Registry(eth, scene.places.registry()["address"])
            for state in await registry.verifiers():
                await admin.change_verifier(registry, msgspec.structs.replace(state, iat_limit_s=IAT_LIMIT_S))

    asyncio.run(change())

    def is_known() -> bool:
        return all(view.iat_limit_s == IAT_LIMIT_S for view in scene.need("/verifiers", list[VerifierView]))

    wait_for("the shorter token age on chain", 60, is_known)


@dataclass
class Evidence:
    """Gathered at each hand-over, judged at the end."""

    scene: Scene
    keys: dict[int, tuple[str, str]] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    """User -> private key."""
    old_shares: set[bytes] = field(default_factory=set, repr=False)
    sealed: list[tuple[str, bytes]] = field(default_factory=list, repr=False)
    """(name, ciphertext) of old committees' batches as they lay on disk."""
    hashes: dict[int, str] = field(default_factory=dict)
    compared: int = 0
    _compared_to: dict[int, int] = field(default_factory=dict)
    """Node -> height."""

    def remember(self, known: dict[str, str]) -> None:
        """What some users' private keys are."""
        self.secrets = dict.fromkeys(list(known)[:SAMPLED_USERS], "")
        self.secrets = private_keys(self.scene.net, list(self.secrets), rounds=2)

    def before_handover(self) -> None:
        """Public keys, and what the present committee has: shares as its operators see them, files as they lie."""
        self.keys = self.check_points()
        view = self.scene.need("/epoch/current", EpochView)
        nodes = self.scene.places.committee(view.epoch)
        for node in nodes[:2]:
            self.old_shares |= {x.to_bytes(32, "big") for x in shares(self.scene, node, view.epoch).values()}
        folder = self.scene.places.node_dir(nodes[0]) / "keeper" / "epochs" / str(view.epoch) / "batches"
        self.sealed += [(f"epochs/{view.epoch}/batches/{path.name}", path.read_bytes()) for path in folder.iterdir()]

    def after_handover(self) -> None:
        self.keys = self.check_points()
        self.compare_hashes()

    def check_points(self) -> dict[int, tuple[str, str]]:
        """Every key that was there has the points it had."""
        now = keys_of(self.scene.net)
        assert {index: now[index] for index in self.keys} == self.keys, "a public key or a nonce point has changed"
        return now

    def check_users(self) -> None:
        """Known users get their keys in two rounds and in one; a new one is given a key, and opens it."""
        net, fresh = self.scene.net, f"fresh-{secrets.token_hex(6)}@example.com"
        for rounds in (2, 1):
            found = private_keys(net, list(self.secrets), rounds=rounds)
            assert found == self.secrets, f"a user's private key has changed, in {rounds} rounds"
        assert private_keys(net, [fresh], rounds=2) == private_keys(net, [fresh], rounds=1)

    def compare_hashes(self) -> None:
        """App hashes of all running nodes, with each other and with what was seen before."""
        for index in self.scene.places.indexes:
            folder = self.scene.places.node_dir(index) / "run"
            try:
                rows = app_hashes(folder / "comet.sock", self._compared_to.get(index, 1), self.scene.height(index))
            except AuthnetError:
                continue  # it is being stopped, or has not begun
            for row in rows:
                seen = self.hashes.setdefault(row["height"], row["app_hash"])
                assert seen == row["app_hash"], f"node {index}: another app hash at height {row['height']}"
                self.compared += 1
                self._compared_to[index] = row["height"]

    def check(self, users: Users) -> str:
        """Everything at once, after the last former committee has erased. Returns what was looked at."""
        self.check_points()
        self.check_users()
        self.compare_hashes()
        opened = check_shares(self.scene)
        searched = self.check_disks()
        return (
            f"held: {len(self.keys)} keys unchanged, {opened} opened under all k-subsets and under no k-1, "
            f"{len(self.secrets)} users' private keys, {users.check()} new users' addresses, app hashes of "
            f"{len(self.hashes)} heights ({self.compared} comparisons), {len(self.old_shares)} old shares found in "
            f"none of {searched} files nor behind any key left on disk"
        )

    def check_disks(self) -> int:
        """No old share is in any keeper's folder in the clear, nor opens with any key that is left in one."""
        places, finder, searched = self.scene.places, Finder(self.old_shares), 0
        keys: set[bytes] = set()
        for node in places.all_indexes:
            folder = places.node_dir(node)
            for path in [p for part in ("keeper", "logs") for p in (folder / part).rglob("*") if p.is_file()]:
                assert not finder.search(path.read_bytes()), f"{path} holds an old share"
                searched += 1
            revealed = self._revealed(node)
            assert not revealed & self.old_shares, f"node {node}: its keystore still opens an old share"
            keys |= revealed
        assert len(keys) > 10
        assert self.sealed
        for name, sealed in self.sealed:
            for key in keys:
                assert not _opens(key, self.scene.net.first.chain_id, name, sealed), f"{name} opens again"
        return searched

    def _revealed(self, node: int) -> set[bytes]:
        """All that a node's keystore opens with its passphrase, in pieces of 32 bytes."""
        with opened_copy(self.scene.net, node) as store:
            values = store.reveal()
        return {value[at : at + 32] for value in values for at in range(0, len(value) - 31, 32)}


def _opens(key: bytes, chain_id: str, name: str, sealed: bytes) -> bool:
    try:
        Box(key, chain_id).open(name, sealed)
    except AuthnetError:
        return False
    return True


def private_keys(net: Net, users: list[str], *, rounds: int) -> dict[str, str]:
    """Each user's private key, by a login in so many rounds; tried again while who was killed is not ready."""
    wish = {} if rounds == 2 else {"aud": "authnet"}

    def source(user: str) -> Callable[[str | None], str]:
        return lambda nonce: net.token(VERIFIER, user, **wish, **({"nonce": nonce} if nonce else {}))

    with SyncClient(Network.from_file(net.dir / "network.json"), timeout_s=30) as client:

        def key_of(user: str) -> str | None:
            try:
                return client.login(VERIFIER, user, source(user), rounds=rounds).private_key
            except AuthnetError:
                return None

        return {user: wait_for(f"a login of {user}", 20, partial(key_of, user), every=0.5) for user in users}


def shares(scene: Scene, node: int, epoch: int = 0) -> dict[int, int]:
    """Key index -> share of one node, by its operator's call."""
    found: dict[int, int] = {}
    while True:
        ask = {"from": max(found, default=-1) + 1, "limit": PAGE, "epoch": epoch}
        rows = call_once(scene.places.node_dir(node) / "run" / "ops.sock", "dev_shares", ask, 120)
        found |= {int(row["index"]): int(row["share"], 16) for row in rows}
        if len(rows) < PAGE:
            return found


def check_shares(scene: Scene) -> int:
    """Any k of the committee in charge open every key, k - 1 open none, and each holder has what it says."""
    view = scene.need("/epoch/current", EpochView)

    def held_by_all() -> list[dict[str, Any]] | None:
        lines = scene.net.cli_lines("chain", "keys")
        return lines if all(len(line["holders"]) == view.n for line in lines) else None

    keys = wait_for("every member to hold every key", 60, held_by_all, every=2.0)
    held = {party: shares(scene, node) for party, node in enumerate(scene.places.committee(view.epoch), start=1)}
    for key in keys:
        points = {party: held[party][key["index"]] for party in key["holders"]}
        opened = {secret_of(points, some) for some in itertools.combinations(sorted(points), view.k)}
        assert len(opened) == 1, f"key {key['index']}: the k-subsets do not agree"
        secret = opened.pop()
        assert secp256k1.pub(secret) == bytes.fromhex(key["Y"]), f"key {key['index']}: its shares do not open it"
        few = itertools.combinations(sorted(points), view.k - 1)
        assert all(secret_of(points, some) != secret for some in few), f"key {key['index']}: k - 1 open it"
    return len(keys)
