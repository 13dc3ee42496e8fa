"""Our transactions are those that Ethereum's own library makes."""

from __future__ import annotations

import sys

from eth_account import Account
from hypothesis import given
from hypothesis import strategies as st

from authnet_core.crypto.address import eip55_address
from authnet_core.crypto.secp256k1 import Q, pub
from authnet_runtime.eth_transaction import FeeTransaction, created_address

# py_ecc, which eth_account imports, allows 100,000 levels: JSON nested so deep would end the process in C.
sys.setrecursionlimit(1_000)

KEYS = st.integers(1, Q - 1).map(lambda number: number.to_bytes(32, "big"))
NUMBERS = st.integers(0, 2**64 - 1)
ADDRESSES = st.binary(min_size=20, max_size=20)


@given(
    KEYS,
    st.builds(
        FeeTransaction,
        chain_id=st.integers(1, 2**32),
        nonce=NUMBERS,
        tip=NUMBERS,
        max_fee=NUMBERS,
        gas=NUMBERS,
        to=ADDRESSES | st.just(b""),
        value=st.integers(0, 2**256 - 1),
        data=st.binary(max_size=600),
    ),
)
def test_a_signed_transaction_is_what_eth_account_makes(key: bytes, ours: FeeTransaction) -> None:
    fields = {
        "type": 2,
        "chainId": ours.chain_id,
        "nonce": ours.nonce,
        "maxPriorityFeePerGas": ours.tip,
        "maxFeePerGas": ours.max_fee,
        "gas": ours.gas,
        "to": ours.to,
        "value": ours.value,
        "data": ours.data,
    }
    assert ours.signed(key) == bytes(Account.from_key(key).sign_transaction(fields).raw_transaction)
    assert eip55_address(pub(key)) == Account.from_key(key).address


def test_contracts_lie_where_ethereum_puts_them() -> None:
    """Addresses of mainnet: CryptoKitties' first deployments, and the example of the yellow paper's readers."""
    sender = "0x6ac7ea33f8831ea9dcc53393aaa88b25a785dbf0"
    assert [created_address(sender, nonce) for nonce in range(3)] == [
        "0xcd234a471b72ba2f1ccf0a70fcaba648a5eecd8d",
        "0x343c43a37d37dff08ae8c4a11544c718abb4fcf8",
        "0xf778b86fa74e846c4f0a1fbd1335fe81c00a0c91",
    ]
