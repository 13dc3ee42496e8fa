"""Every key of a network: who can open it, and that all nodes list the same ones."""

from __future__ import annotations

import pytest

from tests.e2e.key_checks import check_all_keys, key_list, wait_idle
from tests.e2e.net import Net

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]


def test_any_k_shares_open_each_key_and_fewer_do_not(net: Net) -> None:
    assert check_all_keys(net) > 0


def test_all_nodes_list_equal_keys(net: Net) -> None:
    wait_idle(net)
    lists = {j: key_list(net, j) for j in net.indexes}
    assert len(lists[1]) > 0
    for j in net.indexes:
        assert lists[j] == lists[1], f"node {j} lists other keys"
    assert [key.index for key in lists[1]] == list(range(len(lists[1]))), "indices have gaps"
