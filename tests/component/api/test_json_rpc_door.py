"""JSON-RPC of real node_api servers over scripted chains and keepers: answers and refusals."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

import httpx
import pytest

from authnet_core.crypto.secp256k1 import decompress, pub
from authnet_core.errors import AuthnetError, Code
from tests.component.api.scripted import ScriptedNet, until
from tests.component.api.scripted_keeper import scripted_token
from tests.component.api.torus_calls import T_SECRET, T_XY, call, commitment, lookup, receipts, share

pytestmark = pytest.mark.anyio


async def test_a_new_account_gets_one_key_from_all_nodes(net: ScriptedNet, http: httpx.AsyncClient) -> None:
    answers = await asyncio.gather(
        *(call(http, net.rpc_url(i), "GetPubKeyOrKeyAssign", **lookup()) for i in net.endpoints)
    )
    keys = [answer["result"]["keys"][0] for answer in answers]
    assert all(key == keys[0] for key in keys), "equal to the letter on every node"
    assert [answer["result"]["node_index"] for answer in answers] == ["1", "2", "3", "4", "5"]
    assert {answer["result"]["is_new_key"] for answer in answers} == {True}
    assert keys[0]["nonce_data"]["pubNonce"]["x"]
    assert keys[0]["nonce_data"]["typeOfUser"] == "v2"
    assert "nonce" not in keys[0]["nonce_data"], "a look-up never shows the nonce"


async def test_the_same_on_jrpc(net: ScriptedNet, http: httpx.AsyncClient) -> None:
    answer = await call(http, f"{net.endpoints[1]}/jrpc", "GetPubKeyOrKeyAssign", **lookup())
    assert answer["result"]["keys"]


async def test_a_known_account_is_one_read_and_no_write(net: ScriptedNet, http: httpx.AsyncClient) -> None:
    await call(http, net.rpc_url(), "GetPubKeyOrKeyAssign", **lookup())
    net.chain.queries.clear()
    net.keepers[1].calls.clear()
    await call(http, net.rpc_url(), "GetPubKeyOrKeyAssign", **lookup())
    assert [path.split("/")[1] for path in net.chain.queries] == ["account"]
    assert net.keepers[1].calls == []


async def test_is_new_is_a_matter_of_block_time(net: ScriptedNet, http: httpx.AsyncClient) -> None:
    await call(http, net.rpc_url(), "GetPubKeyOrKeyAssign", **lookup())
    for seconds, new in ((9.9, True), (0.2, False)):
        await net.chain.block(seconds)

        async def is_said(new: bool = new) -> bool:
            answers = [await call(http, net.rpc_url(i), "GetPubKeyOrKeyAssign", **lookup()) for i in (1, 2)]
            return all(a["result"]["is_new_key"] is new for a in answers)

        await until(is_said)


async def test_caches_are_dropped_by_a_block_with_events(net: ScriptedNet, http: httpx.AsyncClient) -> None:
    await call(http, net.rpc_url(), "Ping")
    net.chain.epoch = 2
    await net.chain.block(1, [{"type": "epoch_phase", "attributes": {}}])

    async def is_said() -> bool:
        return bool((await call(http, net.rpc_url(), "Ping"))["result"]["epoch"] == 2)

    await until(is_said, 3)  # sooner than a cache of five seconds would run out
    net.chain.epoch = 1
    await net.chain.block(1, [{"type": "epoch_phase", "attributes": {}}])


async def test_lookup_never_assigns(net: ScriptedNet, http: httpx.AsyncClient) -> None:
    answers = [await call(http, net.rpc_url(i), "VerifierLookupRequest", **lookup()) for i in (1, 2, 3)]
    assert {answer["error"]["data"] for answer in answers} == {"Verifier + VerifierID has not yet been assigned"}
    assert answers[0]["error"] == answers[1]["error"] == answers[2]["error"], "old clients compare whole errors"
    assert net.chain.assigned == {}
    await call(http, net.rpc_url(), "GetPubKeyOrKeyAssign", **lookup())
    found = await call(http, net.rpc_url(2), "VerifierLookupRequest", **lookup())
    assert found["result"]["keys"][0]["key_index"] == "0"


async def test_a_key_is_looked_up_without_saying_whose(net: ScriptedNet, http: httpx.AsyncClient) -> None:
    key = (await call(http, net.rpc_url(), "GetPubKeyOrKeyAssign", **lookup()))["result"]["keys"][0]
    found = await call(http, net.rpc_url(), "KeyLookupRequest", pub_key_X=key["pub_key_X"], pub_key_Y=key["pub_key_Y"])
    assert set(found["result"]) == {"key_index", "created_at", "assigned"}
    absent = await call(http, net.rpc_url(), "KeyLookupRequest", pub_key_X=T_XY[:64], pub_key_Y=T_XY[64:])
    assert absent["error"]["authnet"]["code"] == "NOT_FOUND"


async def test_ping(net: ScriptedNet, http: httpx.AsyncClient) -> None:
    answer = await call(http, net.rpc_url(3), "Ping")
    assert answer["result"] == {"chain_id": "scripted-1", "epoch": 1, "node_index": 3, "height": net.chain.height}


async def test_ids_are_compared_as_the_record_says(net: ScriptedNet, http: httpx.AsyncClient) -> None:
    answers = [
        await call(http, net.rpc_url(), "GetPubKeyOrKeyAssign", **lookup(user))
        for user in ("bob@x.y", " BOB@X.Y ", "Bob@x.y\n")
    ]
    assert len({answer["result"]["keys"][0]["address"] for answer in answers}) == 1
    other = await call(http, net.rpc_url(), "GetPubKeyOrKeyAssign", **lookup(extended_verifier_id="tss"))
    assert other["result"]["keys"][0]["address"] != answers[0]["result"]["keys"][0]["address"]


@pytest.mark.parametrize(
    ("changes", "code", "text"),
    [
        ({"verifier": "no-such-verifier"}, "VERIFIER_UNKNOWN", "Verifier not supported"),
        ({"verifier": ""}, "VERIFIER_UNKNOWN", "Verifier not supported"),
        ({"verifier": "../status"}, "VERIFIER_UNKNOWN", "Verifier not supported"),
        ({"verifier": "x" * 5000}, "VERIFIER_UNKNOWN", "Verifier not supported"),
        ({"verifier": 5}, "BAD_PARAMS", "verifier"),
        ({"verifier_id": ""}, "BAD_PARAMS", "verifier id"),
        ({"verifier_id": "x" * 600}, "BAD_PARAMS", "verifier id"),
        ({"verifier_id": None}, "BAD_PARAMS", "verifier_id"),
        ({"extended_verifier_id": "x" * 600}, "BAD_PARAMS", "extended_verifier_id"),
        ({"key_type": "p256"}, "UNSUPPORTED_CURVE", "key_type"),
        ({"key_type": "ed25519"}, "ACCOUNT_NOT_FOUND", "has not yet been assigned"),
    ],
)
async def test_refused_lookups_change_nothing(
    net: ScriptedNet, http: httpx.AsyncClient, changes: dict[str, Any], code: str, text: str
) -> None:
    error = (await call(http, net.rpc_url(), "GetPubKeyOrKeyAssign", **lookup(**changes)))["error"]
    assert error["authnet"]["code"] == code
    assert text in error["data"]
    assert error["authnet"]["cure"]
    assert net.chain.assigned == {}


async def test_a_full_pool_says_when_to_come_back(net: ScriptedNet, http: httpx.AsyncClient) -> None:
    net.keepers[1].refusals["assign"] = AuthnetError(Code.QUOTA_EXCEEDED, "the quota is used up", retry_ms=900)
    error = (await call(http, net.rpc_url(), "GetPubKeyOrKeyAssign", **lookup()))["error"]
    assert error["authnet"]["code"] == "QUOTA_EXCEEDED"
    assert error["authnet"]["detail"] == {"retry_ms": 900}


async def test_a_receipt_as_torus_js_reads_it(net: ScriptedNet, http: httpx.AsyncClient) -> None:
    new = await call(http, net.rpc_url(), "CommitmentRequest", **commitment())
    assert new["result"]["pub_key_x"] == ""
    key = (await call(http, net.rpc_url(), "GetPubKeyOrKeyAssign", **lookup()))["result"]["keys"][0]
    result = (await call(http, net.rpc_url(), "CommitmentRequest", **commitment()))["result"]
    assert result["nodeindex"] == "1"
    assert result["pub_key_x"] == key["pub_key_X"]
    assert result["nodepubx"] + result["nodepuby"] == decompress(pub(net.keepers[1].identity)).hex()
    assert result["data"].startswith("mug00\x1c")
    assert len(result["signature"]) == 130


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"messageprefix": "mug01"}, "BAD_PARAMS"),
        ({"tokencommitment": "zz"}, "BAD_PARAMS"),
        ({"tokencommitment": "00" * 33}, "BAD_PARAMS"),
        ({"tokencommitment": ""}, "BAD_PARAMS"),
        ({"temppubx": T_XY[64:]}, "BAD_PARAMS"),
        ({"temppuby": ""}, "BAD_PARAMS"),
        ({"verifieridentifier": "nope"}, "VERIFIER_UNKNOWN"),
    ],
)
async def test_refused_commitments_reach_no_keeper(
    net: ScriptedNet, http: httpx.AsyncClient, changes: dict[str, Any], code: str
) -> None:
    error = (await call(http, net.rpc_url(), "CommitmentRequest", **commitment(**changes)))["error"]
    assert error["authnet"]["code"] == code
    assert [name for name, _ in net.keepers[1].calls if name == "commit"] == []


async def test_a_second_session_key_is_a_duplicate_token(net: ScriptedNet, http: httpx.AsyncClient) -> None:
    await call(http, net.rpc_url(), "CommitmentRequest", **commitment())
    xy = decompress(pub(78)).hex()
    changes = {"temppubx": xy[:64], "temppuby": xy[64:]}
    error = (await call(http, net.rpc_url(), "CommitmentRequest", **commitment(**changes)))["error"]
    assert error["data"] == "Duplicate token found"


async def test_a_share_as_torus_js_reads_it(net: ScriptedNet, http: httpx.AsyncClient) -> None:
    token = scripted_token("bob@x.y")
    given = await receipts(net, http, token)
    result = (await call(http, net.rpc_url(5), "GetShareOrKeyAssign", **share(token, given)))["result"]
    key = result["keys"][0]
    assert (key["node_index"], key["threshold"], result["is_new_key"]) == ("5", "1", "true")
    assert bytes.fromhex(base64.b64decode(key["share"]).decode())
    assert set(key["share_metadata"]) == {"iv", "ephemPublicKey", "mac", "mode"}
    assert len(key["nonce_data"]["nonce"]) == 64, "torus.js gets the nonce in clear"
    assert "nonce_enc" not in key["nonce_data"]
    assert len(result["session_tokens"]) == len(result["session_token_sig_metadata"]) == 1
    assert result["node_pubx"] + result["node_puby"] == decompress(pub(net.keepers[5].service)).hex()
    _, sent = net.keepers[5].calls[-1]
    assert [len(r["node_pub"]) for r in sent["receipts"]] == [66] * 4
    assert "temp_pub" not in sent


async def test_nonce_enc_hides_the_nonce(net: ScriptedNet, http: httpx.AsyncClient) -> None:
    token = scripted_token("bob@x.y")
    given = await receipts(net, http, token)
    params = share(token, given) | {"nonce_enc": True}
    nonce = (await call(http, net.rpc_url(), "GetShareOrKeyAssign", **params))["result"]["keys"][0]["nonce_data"]
    assert "nonce" not in nonce
    assert nonce["nonce_enc"]["ciphertext"]


@pytest.mark.parametrize(
    "junk",
    [None, 5, "x", [], {}, {"data": 5}, {"data": "x", "signature": "zz", "nodepubx": "1", "nodepuby": "2"}],
)
async def test_one_node_s_junk_among_the_receipts_is_left_out(
    net: ScriptedNet, http: httpx.AsyncClient, junk: Any
) -> None:
    token = scripted_token("bob@x.y")
    given = await receipts(net, http, token)
    answer = await call(http, net.rpc_url(), "GetShareOrKeyAssign", **share(token, [junk, *given]))
    assert "result" in answer
    assert len(net.keepers[1].calls[-1][1]["receipts"]) == 4


def _two_items(params: dict[str, Any]) -> dict[str, Any]:
    return params | {"item": params["item"] * 2}


def _item(**changes: Any) -> Any:
    return lambda params: params | {"item": [params["item"][0] | changes]}


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (_two_items, "BAD_PARAMS"),
        (lambda params: params | {"item": []}, "BAD_PARAMS"),
        (lambda params: params | {"item": {}}, "BAD_PARAMS"),
        (_item(nodesignatures=[]), "RECEIPTS_TOO_FEW"),
        (_item(nodesignatures=[1, 2]), "RECEIPTS_TOO_FEW"),
        (_item(nodesignatures=[None] * 33), "BAD_PARAMS"),
        (_item(nodesignatures=[], verifieridentifier="nope"), "BAD_PARAMS"),
        (_item(sub_verifier_ids=["a"]), "BAD_PARAMS"),
        (_item(session_token_exp_second=0), "BAD_PARAMS"),
        (_item(session_token_exp_second=10**12), "BAD_PARAMS"),
        (_item(session_token_exp_second="1"), "BAD_PARAMS"),
        (_item(idtoken=5), "BAD_PARAMS"),
        (lambda params: params | {"verifieridentifier": "other"}, "BAD_PARAMS"),
    ],
)
async def test_refused_logins_reach_no_keeper(
    net: ScriptedNet, http: httpx.AsyncClient, change: Any, code: str
) -> None:
    token = scripted_token("bob@x.y")
    given = await receipts(net, http, token)
    answer = await call(http, net.rpc_url(), "GetShareOrKeyAssign", **change(share(token, given)))
    assert answer["error"]["authnet"]["code"] == code
    assert [name for name, _ in net.keepers[1].calls if name == "share"] == []
    assert token not in json.dumps(answer)


async def test_a_session_key_without_receipts_is_forwarded_for_the_keeper_to_judge(
    net: ScriptedNet, http: httpx.AsyncClient
) -> None:
    net.keepers[1].refusals["share"] = AuthnetError(Code.TOKEN_MODE, "this audience logs in in two rounds")
    params = share(scripted_token("bob@x.y"), []) | {"temppubx": T_XY[:64], "temppuby": T_XY[64:]}
    error = (await call(http, net.rpc_url(), "GetShareOrKeyAssign", **params))["error"]
    assert error["authnet"]["code"] == "TOKEN_MODE"
    assert error["data"].startswith("Error occurred while verifying params")
    assert net.keepers[1].calls[-1][1]["temp_pub"] == pub(T_SECRET).hex()


async def test_a_keeper_that_breaks_the_contract_is_an_internal_error(
    net: ScriptedNet, http: httpx.AsyncClient
) -> None:
    net.keepers[1].lies["commit"] = lambda answer: {"data": 5}
    error = (await call(http, net.rpc_url(), "CommitmentRequest", **commitment()))["error"]
    assert error["authnet"]["code"] == "INTERNAL"
    net.keepers[1].lies["commit"] = lambda answer: answer | {"node_pub": "zz"}
    error = (await call(http, net.rpc_url(), "CommitmentRequest", **commitment()))["error"]
    assert error["authnet"]["code"] == "INTERNAL"


async def test_a_node_without_chain_or_keeper_says_so(net: ScriptedNet, http: httpx.AsyncClient) -> None:
    net.keepers[1].refusals["assign"] = AuthnetError(Code.UNAVAILABLE, "the keeper does not answer")
    error = (await call(http, net.rpc_url(), "GetPubKeyOrKeyAssign", **lookup()))["error"]
    assert (error["code"], error["authnet"]["code"]) == (-32603, "UNAVAILABLE")


async def test_a_node_whose_keeper_serves_no_logins_yet_is_not_ready(net: ScriptedNet, http: httpx.AsyncClient) -> None:
    url = f"{net.endpoints[1]}/readyz"
    assert (await http.get(url)).status_code == 200
    net.keepers[1].lies["status"] = lambda answer: answer | {"login_ready": False}
    answer = await http.get(url)
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "UNAVAILABLE")
