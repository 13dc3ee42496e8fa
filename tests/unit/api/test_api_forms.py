"""Forms in and out: hex, points, error texts, statuses, parameters of CometBFT calls, merged metrics."""

import pytest
from prometheus_client.parser import text_string_to_metric_families

from authnet_core.crypto.secp256k1 import decompress, pub
from authnet_core.cures import cure
from authnet_core.errors import AuthnetError, Code
from node_api.comet_proxy import CometCall, checked_params
from node_api.encoding import coordinates, final_pub, hex_field, point_field
from node_api.node_metrics import merge
from node_api.refusals import http_refusal, http_status, rpc_error

POINT = pub(0x1111)
X, Y = decompress(POINT).hex()[:64], decompress(POINT).hex()[64:]


@pytest.mark.parametrize("text", ["ff", "0xff", "0XFF", "00ff", "Ff", "0x00fF"])
def test_hex_is_read_in_every_form_clients_send(text: str) -> None:
    assert hex_field("x", text, 4) == b"\0\0\0\xff"


@pytest.mark.parametrize("text", ["", "0x", "xyz", "0x1g", "ff" * 5, " ff", "ff\n", "-1", "f" * 1000, "é"])
def test_other_hex_is_refused_by_name(text: str) -> None:
    with pytest.raises(AuthnetError, match="tokencommitment") as caught:
        hex_field("tokencommitment", text, 4)
    assert caught.value.code is Code.BAD_PARAMS


def test_coordinates_without_leading_zeros_are_the_same_point() -> None:
    secret = next(s for s in range(1, 5000) if decompress(pub(s)).hex()[:2] == "00")
    x, y = decompress(pub(secret)).hex()[:64], decompress(pub(secret)).hex()[64:]
    assert point_field("t", x.lstrip("0"), y) == point_field("t", "0x" + x.upper(), y) == pub(secret)
    assert coordinates(pub(secret).hex())[0] == x, "going out they are padded"


@pytest.mark.parametrize(("x", "y"), [(X, X), ("0", "0"), (X, "1"), ("f" * 64, Y), (Y, X)])
def test_a_point_off_the_curve_is_refused(x: str, y: str) -> None:
    with pytest.raises(AuthnetError, match="not a point") as caught:
        point_field("temppub", x, y)
    assert caught.value.code is Code.BAD_PARAMS


def test_the_final_key_is_the_sum() -> None:
    assert final_pub(pub(3).hex(), pub(4).hex()) == pub(7).hex()


@pytest.mark.parametrize("code", list(Code))
def test_every_code_leaves_as_text_that_torus_js_can_read(code: Code) -> None:
    error = rpc_error(AuthnetError(code, "because"))
    assert isinstance(error.data, str)
    assert error.data
    assert error.authnet.code == code.value
    assert error.authnet.cure == cure(code)
    assert -32768 <= error.code <= -32000
    assert 400 <= http_status(code) <= 599


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (Code.VERIFIER_UNKNOWN, "Verifier not supported"),
        (Code.ACCOUNT_NOT_FOUND, "Verifier + VerifierID has not yet been assigned"),
        (Code.DUPLICATE_TOKEN, "Duplicate token found"),
    ],
)
def test_texts_that_clients_compare_never_vary(code: Code, text: str) -> None:
    assert rpc_error(AuthnetError(code, "another sentence")).data == text


def test_a_refused_token_starts_as_clients_expect() -> None:
    error = rpc_error(AuthnetError(Code.TOKEN_EXPIRED, "the token has expired"))
    assert error.data == "Error occurred while verifying params: the token has expired [TOKEN_EXPIRED]"
    assert (error.code, error.message) == (-32602, "Input error")


@pytest.mark.parametrize("code", list(Code))
def test_every_code_has_a_cure(code: Code) -> None:
    assert cure(code).endswith(".") or "`" in cure(code)


def test_comet_parameters_pass_as_decimal_text() -> None:
    call = CometCall("validators", {"height": 5, "page": "1", "per_page": None})
    assert checked_params(call) == {"height": "5", "page": "1"}


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("broadcast_tx_sync", {"tx": "00"}),
        ("abci_query", {}),
        ("unsafe_flush_mempool", {}),
        ("", {}),
        ("commit", {"height": "-1"}),
        ("commit", {"height": "1 or 1"}),
        ("commit", {"height": True}),
        ("commit", {"height": 1.5}),
        ("commit", {"height": "9" * 30}),
        ("commit", {"height": "٣"}),
        ("commit", {"prove": "1"}),
        ("status", {"height": "1"}),
        ("genesis", {"x": {}}),
    ],
)
def test_other_comet_calls_are_refused(method: str, params: dict[str, object]) -> None:
    with pytest.raises(AuthnetError) as caught:
        checked_params(CometCall(method, params))
    assert caught.value.code in (Code.UNKNOWN_METHOD, Code.BAD_PARAMS)


def test_metrics_of_two_processes_share_families_and_keep_apart() -> None:
    page = '# HELP python_info x\n# TYPE python_info gauge\npython_info{{a="b"}} {}\n'
    families = list(text_string_to_metric_families(merge({"one": page.format(1), "two": page.format(2)})))
    assert [f.name for f in families] == ["python_info"]
    values = {sample.labels["process"]: sample.value for sample in families[0].samples}
    assert values == {"one": 1.0, "two": 2.0}


def test_a_committee_that_has_left_names_the_one_to_ask() -> None:
    members = [{"index": 1, "endpoint": "https://a.example", "identity": "02" * 33}]
    refusal = AuthnetError(Code.EPOCH_MOVED, "another committee serves", epoch=3, members=members)
    assert rpc_error(refusal).authnet.detail == {"epoch": 3, "members": members}
    assert http_refusal(refusal).error["detail"] == {"epoch": 3, "members": members}
    assert http_status(Code.EPOCH_MOVED) == 409
    assert "detail" not in http_refusal(AuthnetError(Code.BUSY, "later", secret=1)).error
