"""One Ethereum node over HTTP: blocks, calls at a block, signed transactions. Every failure has a code.

UNAVAILABLE: the node does not answer or answers nonsense; try again. REGISTRY_REFUSED: the contract reverted,
with the name of its error. Imports web3 (0.8 s, 65 MB): processes that need no Ethereum never import this.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import TracebackType
from typing import Any, TypeVar

import aiohttp
from eth_abi.abi import decode
from eth_abi.exceptions import DecodingError
from eth_account import Account
from web3 import AsyncHTTPProvider, AsyncWeb3
from web3.exceptions import ContractLogicError, Web3RPCError

from authnet_core.crypto.hashing import keccak256
from authnet_core.errors import AuthnetError, Code

# py_ecc, which eth_account imports, allows 100,000 levels. JSON nested so deep ends the process in C, and no `except`
# sees it.
sys.setrecursionlimit(min(sys.getrecursionlimit(), 1_000))

T = TypeVar("T")
CALL_TIMEOUT_S = 10.0
RECEIPT_TIMEOUT_S = 60.0
RECEIPT_POLL_S = 0.2
TRANSFER_GAS = 21_000


@dataclass(frozen=True, slots=True)
class BlockRef:
    """A block by number and hash; `time_s` is its timestamp."""

    number: int
    hash: str
    time_s: int


@cache
def artifact() -> dict[str, Any]:
    """ABI and bytecode of the registry, as contracts/compile.mjs wrote them."""
    text = files("authnet_runtime.contracts").joinpath("registry.json").read_text()
    content: dict[str, Any] = json.loads(text)
    return content


def _canonical_type(entry: dict[str, Any]) -> str:
    """An ABI type as it stands in a signature; tuples spelled out."""
    kind = str(entry["type"])
    if not kind.startswith("tuple"):
        return kind
    return "(" + ",".join(_canonical_type(part) for part in entry["components"]) + ")" + kind[5:]


@cache
def _contract_errors() -> dict[bytes, tuple[str, list[str]]]:
    """Selector -> (name, argument types) of every error the contract can revert with."""
    table = {}
    for entry in artifact()["abi"]:
        if entry["type"] == "error":
            types = [_canonical_type(part) for part in entry["inputs"]]
            selector = keccak256(f"{entry['name']}({','.join(types)})".encode())[:4]
            table[selector] = (str(entry["name"]), types)
    return table


def name_revert(revert: object) -> tuple[str, tuple[Any, ...]]:
    """The contract's error and its arguments from revert bytes, as web3 hands them over."""
    text = revert if isinstance(revert, str) else ""
    if not text.startswith("0x") or len(text) < 10:
        return "reverted", ()
    try:
        raw = bytes.fromhex(text[2:])
        name, types = _contract_errors().get(raw[:4], ("reverted", []))
        return name, tuple(decode(types, raw[4:])) if types else ()
    except (DecodingError, ValueError, OverflowError):  # a contract that is not ours, or a node that lies
        return "reverted", ()


def _words(error: Web3RPCError) -> str:
    answer: Any = (error.rpc_response or {}).get("error", {})
    return str(answer.get("message", "refused"))[:200] if isinstance(answer, dict) else "refused"


@contextmanager
def coded(what: str) -> Iterator[None]:
    """Turn what web3 and aiohttp raise into AuthnetError.

    On nonsense from a node, web3's formatters and ABI decoders raise TypeError, OverflowError and whatever else their
    code runs into; all of it is one node's answer that can not be used.
    """
    try:
        yield
    except AuthnetError:
        raise
    except ContractLogicError as error:
        name, arguments = name_revert(error.data)
        shown = ", ".join(a.hex() if isinstance(a, bytes) else str(a) for a in arguments)
        raise AuthnetError(Code.REGISTRY_REFUSED, f"{what}: {name}({shown})", error=name) from None
    except Web3RPCError as error:
        # The node's own words ("insufficient funds ..."); they hold neither the URL nor a key.
        raise AuthnetError(Code.UNAVAILABLE, f"{what}: Ethereum: {_words(error)}") from None
    except Exception as error:
        raise AuthnetError(Code.UNAVAILABLE, f"{what}: Ethereum: {type(error).__name__}") from None


class Ethereum:
    """Use as an async context manager; asyncio only. Holds no key."""

    def __init__(self, rpc: str) -> None:
        timeout = aiohttp.ClientTimeout(total=CALL_TIMEOUT_S)
        provider = AsyncHTTPProvider(rpc, {"timeout": timeout}, exception_retry_configuration=None)
        self._provider = provider
        self.w3 = AsyncWeb3(provider, middleware=[])

    async def __aenter__(self) -> Ethereum:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._provider.disconnect()

    async def request(self, method: str, *params: Any) -> Any:
        """A raw RPC call, undecoded. Raises AuthnetError(UNAVAILABLE)."""
        with coded(method):
            answer = await self._provider.make_request(method, list(params))
        if not isinstance(answer, dict) or "result" not in answer:
            error = answer.get("error") if isinstance(answer, dict) else None
            text = str(error.get("message", "no result"))[:200] if isinstance(error, dict) else "no result"
            raise AuthnetError(Code.UNAVAILABLE, f"{method}: Ethereum: {text}")
        return answer["result"]

    async def chain_id(self) -> int:
        found = await self.request("eth_chainId")
        with coded("eth_chainId"):
            return int(found, 16)

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
            return BlockRef(int(raw["number"], 16), str(raw["hash"]), int(raw["timestamp"], 16))
        except (KeyError, TypeError, ValueError):
            raise AuthnetError(Code.UNAVAILABLE, "eth_getBlockByNumber: Ethereum: malformed block") from None

    async def call(self, what: str, pending: Awaitable[T]) -> T:
        """Await a contract call. Raises AuthnetError (REGISTRY_REFUSED, UNAVAILABLE)."""
        with coded(what):
            return await pending


class Sender:
    """Signs and sends transactions of one account, in order. The key stays in here."""

    def __init__(self, ethereum: Ethereum, key: bytes) -> None:
        self._eth = ethereum
        self._account = Account.from_key(key)
        self.address: str = self._account.address.lower()

    async def next_nonce(self) -> int:
        """Number of the next transaction, those not yet mined counted."""
        with coded("nonce"):
            return int(await self._eth.w3.eth.get_transaction_count(self._account.address, "pending"))

    async def send(self, what: str, function: Any, gas: int = 0) -> str:
        """Sign and send a contract call (or deployment), return its hash.

        Without `gas` it is estimated first, so that a call which would revert costs nothing and names the error.
        """
        with coded(what):
            if gas == 0:
                estimate = await function.estimate_gas({"from": self._account.address})
                gas = estimate + estimate // 4
            envelope = await self._envelope(gas)
            fields = await function.build_transaction(envelope)
        return await self._sign_and_send(what, fields)

    async def transfer(self, to: str, wei: int) -> str:
        """Send ether, return the transaction's hash."""
        with coded("transfer"):
            fields = await self._envelope(TRANSFER_GAS)
            fields |= {"to": self._eth.w3.to_checksum_address(to), "value": wei, "data": b""}
        return await self._sign_and_send("transfer", fields)

    async def wait(self, what: str, sent: str) -> dict[str, Any]:
        """Wait for the receipt. Raises AuthnetError: REGISTRY_REFUSED if it reverted, TIMEOUT."""
        deadline = time.monotonic() + RECEIPT_TIMEOUT_S
        while time.monotonic() < deadline:
            receipt: dict[str, Any] | None = await self._eth.request("eth_getTransactionReceipt", sent)
            if receipt is not None:
                if int(receipt["status"], 16) != 1:
                    raise AuthnetError(Code.REGISTRY_REFUSED, f"{what}: reverted in block {receipt['blockNumber']}")
                return receipt
            await asyncio.sleep(RECEIPT_POLL_S)
        raise AuthnetError(Code.TIMEOUT, f"{what}: no receipt after {RECEIPT_TIMEOUT_S:g} s")

    async def _envelope(self, gas: int) -> dict[str, Any]:
        """Nonce, fees and limits; the base fee may double before the transaction is mined."""
        w3 = self._eth.w3
        block = await w3.eth.get_block("latest")
        tip = 1_000_000_000
        return {
            "from": self._account.address,
            "nonce": await self.next_nonce(),
            "chainId": await w3.eth.chain_id,
            "gas": gas,
            "maxPriorityFeePerGas": tip,
            "maxFeePerGas": 2 * int(block.get("baseFeePerGas", 0)) + tip,
            "value": 0,
        }

    async def _sign_and_send(self, what: str, fields: dict[str, Any]) -> str:
        with coded(what):
            fields.pop("from")
            signed = self._account.sign_transaction(fields)
            sent = await self._eth.w3.eth.send_raw_transaction(signed.raw_transaction)
            return str(sent.to_0x_hex())
