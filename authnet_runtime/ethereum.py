"""One Ethereum node over HTTP: blocks, calls at a block, signed transactions. Every failure has a code.

UNAVAILABLE: the node does not answer or answers nonsense; try again. REGISTRY_REFUSED: the contract reverted,
with the name of its error.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import anyio
import httpx
import msgspec

from authnet_core.crypto.address import eip55_address
from authnet_core.crypto.secp256k1 import pub
from authnet_core.errors import AuthnetError, Code
from authnet_runtime.contract import Call, name_revert
from authnet_runtime.eth_transaction import FeeTransaction

CALL_TIMEOUT_S = 10.0
RECEIPT_TIMEOUT_S = 60.0
RECEIPT_POLL_S = 0.2
TRANSFER_GAS = 21_000
TIP_WEI = 1_000_000_000
_REVERTED = 3
"""Error code of a call that reverted; some nodes only say so in words."""


@dataclass(frozen=True, slots=True)
class BlockRef:
    """A block by number and hash; `time_s` is its timestamp, `parent` the hash of the block before it."""

    number: int
    hash: str
    time_s: int
    parent: str = ""


@contextmanager
def coded(what: str) -> Iterator[None]:
    """Turn whatever is raised inside into AuthnetError(UNAVAILABLE).

    On nonsense from a node, decoders raise TypeError, OverflowError and whatever else their code runs into; all of it
    is one node's answer that can not be used.
    """
    try:
        yield
    except AuthnetError:
        raise
    except Exception as error:
        raise AuthnetError(Code.UNAVAILABLE, f"{what}: Ethereum: {type(error).__name__}") from None


def _refusal(what: str, error: object) -> AuthnetError:
    """What a node's error object says: of the contract by name, else in the node's own words.

    ("insufficient funds ..."; they hold neither the URL nor a key.)
    """
    told = error if isinstance(error, dict) else {}
    words = str(told.get("message", "no result"))[:200]
    if told.get("code") != _REVERTED and "revert" not in words.lower():
        return AuthnetError(Code.UNAVAILABLE, f"{what}: Ethereum: {words}")
    name, arguments = name_revert(told.get("data"))
    shown = ", ".join(a.hex() if isinstance(a, bytes) else str(a) for a in arguments)
    return AuthnetError(Code.REGISTRY_REFUSED, f"{what}: {name}({shown})", error=name)


class Ethereum:
    """Use as an async context manager. Holds no key."""

    def __init__(self, rpc: str) -> None:
        self.rpc = rpc
        self._http = httpx.AsyncClient(timeout=CALL_TIMEOUT_S, trust_env=False)

    async def __aenter__(self) -> Ethereum:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def request(self, method: str, *params: Any, what: str = "") -> Any:
        """A raw RPC call, undecoded; `what` it is for. Raises AuthnetError (UNAVAILABLE, REGISTRY_REFUSED)."""
        what = what or method
        with coded(what):
            answer = await self._post({"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)})
        if not isinstance(answer, dict) or "result" not in answer:
            raise _refusal(what, answer.get("error") if isinstance(answer, dict) else None)
        return answer["result"]

    async def _post(self, body: dict[str, Any]) -> Any:
        with anyio.fail_after(CALL_TIMEOUT_S):
            answer = await self._http.post(self.rpc, json=body)
        return msgspec.json.decode(answer.content)

    async def number(self, method: str, *params: Any, what: str = "") -> int:
        """A call that gives a number. Raises what `request` does."""
        found = await self.request(method, *params, what=what)
        with coded(what or method):
            return int(found, 16)

    async def chain_id(self) -> int:
        return await self.number("eth_chainId")

    async def has_code(self, address: str) -> bool:
        """Whether a contract lies at `address` in the newest block."""
        found = await self.request("eth_getCode", address, "latest")
        with coded("eth_getCode"):
            return len(found) > 2

    async def block(self, which: int | str) -> BlockRef | None:
        """A block by number or tag, None if the node has no such block."""
        raw = await self.request("eth_getBlockByNumber", hex(which) if isinstance(which, int) else which, False)
        if raw is None:
            return None
        try:
            number, time_s = int(raw["number"], 16), int(raw["timestamp"], 16)
            return BlockRef(number, str(raw["hash"]), time_s, str(raw.get("parentHash", "")))
        except (KeyError, TypeError, ValueError):
            raise AuthnetError(Code.UNAVAILABLE, "eth_getBlockByNumber: Ethereum: malformed block") from None

    async def call(self, call: Call, at: BlockRef | None = None) -> Any:
        """What a contract's function gives at a block, newest by default. Raises AuthnetError."""
        block = {"blockHash": at.hash} if at is not None else "latest"
        asked = {"to": call.to, "data": "0x" + call.data.hex()}
        found = await self.request("eth_call", asked, block, what=call.name)
        with coded(call.name):
            return call.result(bytes.fromhex(found.removeprefix("0x")))


class Sender:
    """Signs and sends transactions of one account, in order. The key stays in here."""

    def __init__(self, ethereum: Ethereum, key: bytes) -> None:
        self._eth = ethereum
        self._key = key
        self.address = eip55_address(pub(key)).lower()

    async def next_nonce(self) -> int:
        """Number of the next transaction, those not yet mined counted."""
        return await self._eth.number("eth_getTransactionCount", self.address, "pending")

    async def send(self, call: Call, gas: int = 0) -> str:
        """Sign and send a contract call (or deployment), return its hash.

        Without `gas` it is estimated first, so that a call which would revert costs nothing and names the error.
        """
        if gas == 0:
            asked = {"from": self.address, "data": "0x" + call.data.hex()} | ({"to": call.to} if call.to else {})
            gas = await self._eth.number("eth_estimateGas", asked, what=call.name) * 5 // 4
        return await self._sign_and_send(call.name, gas, call.to, call.data)

    async def transfer(self, to: str, wei: int) -> str:
        """Send ether, return the transaction's hash."""
        return await self._sign_and_send("transfer", TRANSFER_GAS, to, wei=wei)

    async def wait(self, what: str, sent: str) -> dict[str, Any]:
        """Wait for the receipt. Raises AuthnetError: REGISTRY_REFUSED if it reverted, TIMEOUT."""
        deadline = time.monotonic() + RECEIPT_TIMEOUT_S
        while time.monotonic() < deadline:
            receipt: dict[str, Any] | None = await self._eth.request("eth_getTransactionReceipt", sent)
            if receipt is not None:
                with coded(what):
                    if int(receipt["status"], 16) != 1:
                        raise AuthnetError(Code.REGISTRY_REFUSED, f"{what}: reverted in block {receipt['blockNumber']}")
                return receipt
            await anyio.sleep(RECEIPT_POLL_S)
        raise AuthnetError(Code.TIMEOUT, f"{what}: no receipt after {RECEIPT_TIMEOUT_S:g} s")

    async def _sign_and_send(self, what: str, gas: int, to: str, data: bytes = b"", wei: int = 0) -> str:
        """The base fee may double before the transaction is mined."""
        newest = await self._eth.request("eth_getBlockByNumber", "latest", False)
        with coded(what):
            base_fee = int(newest.get("baseFeePerGas", "0x0"), 16)
        transaction = FeeTransaction(
            chain_id=await self._eth.chain_id(),
            nonce=await self.next_nonce(),
            tip=TIP_WEI,
            max_fee=2 * base_fee + TIP_WEI,
            gas=gas,
            to=bytes.fromhex(to.removeprefix("0x")),
            value=wei,
            data=data,
        )
        raw = "0x" + transaction.signed(self._key).hex()
        return str(await self._eth.request("eth_sendRawTransaction", raw, what=what))
