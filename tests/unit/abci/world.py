"""A chain in one process: members with keys, blocks run by the real Application, no sockets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from abci_app.abci.application import Application, InitialState
from abci_app.queries import queries
from abci_app.rules.execution import Finalized, Outcome
from abci_app.rules.genesis import parse
from abci_app.state import records as r
from abci_app.state.state import Block
from authnet_core.crypto import merkle, pok
from authnet_core.crypto.secp256k1 import pub
from authnet_core.errors import AuthnetError, Code
from authnet_core.protocol.committee import Committee
from authnet_core.protocol.dkg.strings import deal_context, enckey_context
from authnet_core.wire import authnet_pb2 as wire
from authnet_core.wire.tx import sign_tx

NETWORK = "testnet"
MASKS = 12
"""Kept back of a first session's 192 keys: one in sixteen."""
CHAIN = "testnet-1"
START_MS = 1_700_000_000_000
SEED = bytes(32)


def secret(*parts: object) -> bytes:
    """A secret scalar that is always the same for the same parts."""
    return sha256(repr(parts).encode()).digest()


def consensus_key(member: int) -> bytes:
    return sha256(b"consensus%d" % member).digest()


def app_state_json(n: int, **params: int) -> bytes:
    observers = ",".join(f'"{pub(secret("id", j)).hex()}"' for j in range(1, n + 1))
    overrides = ",".join(f'"{name}":{number}' for name, number in params.items())
    return (
        f'{{"network_id":"{NETWORK}","eth_chain_id":31337,"registry":"0x00","dev":true,'
        f'"observers":[{observers}],"params":{{{overrides}}}}}'
    ).encode()


def epoch_record(size: int, **changes: Any) -> wire.Record:
    committee = Committee.of(size)
    members = [
        wire.Member(
            index=j,
            operator=f"0x{j:040x}",
            identity=pub(secret("id", j)),
            consensus=consensus_key(j),
            peer_id=f"peer{j}",
            p2p_addr=f"/ip4/127.0.0.1/tcp/{9000 + j}",
            comet_addr=f"id{j}@127.0.0.1:{9100 + j}",
            endpoint=f"http://127.0.0.1:{9200 + j}",
        )
        for j in range(1, size + 1)
    ]
    fields: dict[str, Any] = {"epoch": 1, "n": size, "k": committee.k, "t": committee.t, "members": members}
    return wire.Record(epoch=wire.EpochRecord(**{**fields, **changes}))


def verifier_record(**changes: Any) -> wire.Record:
    fields: dict[str, Any] = {
        "name": "mock-google",
        "version": 1,
        "issuer": "https://issuer.example",
        "jwks_url": "https://issuer.example/jwks.json",
        "audiences": [wire.Audience(aud="torus", mode="two-round"), wire.Audience(aud="authnet", mode="bound")],
        "id_claim": "sub",
        "case_rule": "exact",
        "algorithms": ["RS256", "ES256"],
        "iat_limit_s": 120,
        "session_claim": "nonce",
    }
    return wire.Record(verifier=wire.VerifierRecord(**{**fields, **changes}))


@dataclass
class World:
    """n members and one Application."""

    folder: Path
    n: int = 5
    params: dict[str, int] = field(default_factory=dict)
    time_ms: int = START_MS
    salt: int = 0

    def __post_init__(self) -> None:
        self.app = Application(self.folder)
        self.committee = Committee.of(self.n)
        self.hashes: list[str] = []
        if self.app.meta.height == 0:
            self.init()
        self.height = self.app.meta.height

    def init(self) -> bytes:
        validators = tuple(sorted((consensus_key(j), 1) for j in range(1, self.n + 1)))
        app_state = parse(app_state_json(self.n, **self.params))
        return self.app.init_chain(InitialState(CHAIN, START_MS, app_state, r.ValidatorSet(validators)))

    def reopen(self) -> None:
        """The process died and came back."""
        self.app.close()
        self.app = Application(self.folder)
        if self.app.meta.height == 0:
            self.init()

    def tx(self, member: int, **kind: Any) -> bytes:
        """A signed transaction of `member`; `epoch`, `chain_id`, `version`, `expiry` may be overridden."""
        fields = {
            "chain_id": kind.pop("chain_id", CHAIN),
            "version": kind.pop("version", 1),
            "epoch": kind.pop("epoch", None),
            "expiry_height": kind.pop("expiry", self.height + 20),
        }
        if fields["epoch"] is None:
            fields["epoch"] = self.query("/status").epoch if self.app.meta.height else 0
        key = secret("id", member)
        return sign_tx(key, pub(key), wire.TxBody(**fields, **kind))

    def block(self, *raws: bytes, step_ms: int = 100) -> Finalized:
        """Finalize and commit one block."""
        self.height += 1
        self.time_ms += step_ms
        finalized = self.app.finalize_block(list(raws), Block(self.height, self.time_ms))
        self.app.commit()
        self.hashes.append(finalized.pending.meta.app_hash.hex())
        return finalized

    def send(self, *raws: bytes) -> list[Code | None]:
        """Run a block and return the codes of its transactions; CheckTx must have said the same."""
        checked = [self.app.check_tx(raw).code for raw in raws]
        outcomes = self.block(*raws).outcomes
        if len(raws) == 1:
            assert checked == [outcomes[0].code], "CheckTx and FinalizeBlock disagree"
        return [outcome.code for outcome in outcomes]

    def send_one(self, raw: bytes) -> Outcome:
        return self.block(raw).outcomes[0]

    def query(self, path: str, height: int = 0) -> Any:
        found = queries.answer(self.app.store, path, height)
        if found.refusal is not None:
            raise found.refusal
        return found.view

    def refusal(self, path: str) -> Code:
        try:
            self.query(path)
        except AuthnetError as error:
            return error.code
        raise AssertionError(f"{path} was answered")

    # the usual story, step by step

    def observe(self, record: wire.Record, members: Sequence[int] | None = None) -> list[Code | None]:
        raw = record.SerializeToString(deterministic=True)
        voters = members if members is not None else range(1, self.committee.quorum + 1)
        return self.send(*(self.tx(j, observe=wire.Observe(record=raw)) for j in voters))

    def begin_epoch(self) -> None:
        assert set(self.observe(epoch_record(self.n))) == {None}

    def enckey(self, member: int, first: int = 0, count: int = 8, **changes: Any) -> wire.EncKey:
        entries = []
        for counter in range(first, first + count):
            key = secret("ek", member, counter)
            context = enckey_context(CHAIN, 1, counter, member)
            entries.append(wire.EncKeyEntry(key=pub(key), pok=pok.prove(key, context, SEED)))
        fields: dict[str, Any] = {
            "first_counter": first,
            "keys": entries,
            "service_key": pub(secret("service", member)) if first == 0 else b"",
        }
        return wire.EncKey(**{**fields, **changes})

    def announce(self, members: Sequence[int] | None = None, first: int = 0, count: int = 8) -> None:
        who = members if members is not None else range(1, self.n + 1)
        codes = self.send(*(self.tx(j, enckey=self.enckey(j, first, count)) for j in who))
        assert set(codes) == {None}, codes

    def open_sid(self) -> bytes:
        return bytes.fromhex(self.query("/sessions").open[0].sid)

    def deal(self, member: int, sid: bytes, /, **changes: Any) -> wire.Deal:
        e = secret("e", member, sid)
        fields: dict[str, Any] = {
            "sid": sid,
            "e": pub(e),
            "pok": pok.prove(e, deal_context(CHAIN, sid, member), SEED),
            "root": sha256(b"root%d" % member).digest(),
            "list_hash": sha256(b"list%d" % member).digest(),
            "nonce_hash": sha256(b"nonce%d" % member).digest(),
            "u": [secret("u", member, power) for power in range(self.committee.k)],
        }
        return wire.Deal(**{**fields, **changes})

    def deals(self, sid: bytes, members: Sequence[int] | None = None) -> None:
        who = members if members is not None else range(1, self.n + 1)
        codes = self.send(*(self.tx(j, deal=self.deal(j, sid)) for j in who))
        assert set(codes) == {None}, codes

    def acks(self, sid: bytes, dealers: int, members: Sequence[int] | None = None) -> None:
        who = members if members is not None else range(1, self.n + 1)
        codes = self.send(*(self.tx(j, ack=wire.Ack(sid=sid, dealers=dealers)) for j in who))
        assert set(codes) == {None}, codes

    def opens(self, sid: bytes, dealers: int, members: Sequence[int] | None = None) -> None:
        who = members if members is not None else range(1, self.n + 1)
        codes = self.send(*(self.tx(j, opened=wire.Opened(sid=sid, dealers=dealers)) for j in who))
        assert set(codes) == {None}, codes

    def key_pairs(self, sid: bytes, count: int) -> list[bytes]:
        """Stand-ins for Y || N: the chain checks them against the root only."""
        return [
            b"\x02" + sha256(sid + b"y%d" % i).digest() + b"\x03" + sha256(sid + b"n%d" % i).digest()
            for i in range(count)
        ]

    def finals(self, sid: bytes, root: bytes, members: Sequence[int] | None = None) -> None:
        who = members if members is not None else range(1, self.n + 1)
        codes = self.send(*(self.tx(j, final=wire.Final(sid=sid, root=root)) for j in who))
        assert set(codes) == {None}, codes

    def keys(self, sid: bytes, pairs: list[bytes], chunk: int = 0, member: int = 1) -> bytes:
        keys = b"".join(pairs[chunk * 1024 : (chunk + 1) * 1024])
        path = merkle.chunk_path(pairs, chunk)
        return self.tx(member, keys=wire.Keys(sid=sid, chunk=chunk, keys=keys, path=path))

    def run_session(self, sid: bytes, members: Sequence[int] | None = None) -> list[bytes]:
        """A whole session of these members, from DEAL to KEYS. Others must be left out by time."""
        who = list(members if members is not None else range(1, self.n + 1))
        bitmap = sum(1 << (j - 1) for j in who)
        self.deals(sid, who)
        self.acks(sid, bitmap, who)
        if len(who) < self.n:
            self.block()
            self.block(step_ms=2_000)
        self.opens(sid, bitmap, who)
        pairs = self.key_pairs(sid, self.query(f"/session/{sid.hex()}").count)
        self.finals(sid, merkle.root(pairs), who)
        for chunk in range(-(-len(pairs) // 1024)):
            assert self.send(self.keys(sid, pairs, chunk)) == [None]
        return pairs

    def fill_pool(self) -> list[bytes]:
        """Epoch, verifier, encryption keys and the first session."""
        self.begin_epoch()
        assert set(self.observe(verifier_record())) == {None}
        self.announce()
        return self.run_session(self.open_sid())

    def assign(self, member: int, account: bytes, **changes: Any) -> bytes:
        envelope = {name: changes.pop(name) for name in ("expiry",) if name in changes}
        fields: dict[str, Any] = {
            "verifier": "mock-google",
            "account_id": account,
            "curve": wire.CURVE_SECP256K1,
            "number": 0,
            "purpose": wire.PURPOSE_LOGIN,
        }
        return self.tx(member, assign=wire.Assign(**{**fields, **changes}), **envelope)


def account(number: int) -> bytes:
    return sha256(b"account%d" % number).digest()
