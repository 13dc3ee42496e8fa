"""Token buckets and the address a request counts for."""

import pytest

from authnet_core.errors import AuthnetError, Code
from node_api.limits import Buckets, Limits, client_address


def test_a_burst_is_served_and_the_next_one_waits() -> None:
    buckets = Buckets(rate=50, burst=300)
    assert all(buckets.take("a", 0.0) == 0 for _ in range(300))
    assert buckets.take("a", 0.0) == pytest.approx(0.02)


def test_a_bucket_fills_at_its_rate_and_not_above_its_burst() -> None:
    buckets = Buckets(rate=2, burst=3)
    for _ in range(3):
        buckets.take("a", 0.0)
    assert buckets.take("a", 0.4) > 0
    assert buckets.take("a", 0.5) == 0
    assert [buckets.take("a", 1000.0) == 0 for _ in range(4)] == [True, True, True, False]


def test_one_address_does_not_take_from_another() -> None:
    buckets = Buckets(rate=1, burst=1)
    buckets.take("a", 0.0)
    assert buckets.take("a", 0.0) > 0
    assert buckets.take("b", 0.0) == 0


def test_the_table_is_bounded_and_forgets_the_longest_unseen_first() -> None:
    buckets = Buckets(rate=1, burst=1, size=2)
    for name in ("a", "b", "a", "c"):
        buckets.take(name, 0.0)
    assert len(buckets) == 2
    assert buckets.take("a", 0.0) > 0, "a was seen after b and is still known"


def test_refused_waiting_does_not_push_the_time_back() -> None:
    buckets = Buckets(rate=1, burst=1)
    buckets.take("a", 0.0)
    for step in range(9):
        buckets.take("a", 0.1 * (step + 1))
    assert buckets.take("a", 1.0) == 0


def test_refusals_say_when_to_come_back() -> None:
    limits = Limits(rate_per_s=2, burst=1)
    limits.admit_address("a", 0.0)
    with pytest.raises(AuthnetError) as caught:
        limits.admit_address("a", 0.0)
    assert caught.value.code is Code.RATE_LIMITED
    assert caught.value.detail["retry_ms"] == pytest.approx(500, abs=2)


def test_a_verifier_has_its_own_wider_limit() -> None:
    limits = Limits(rate_per_s=1, burst=2)
    for _ in range(20):
        limits.admit_verifier("google", 0.0)
    with pytest.raises(AuthnetError, match="verifier"):
        limits.admit_verifier("google", 0.0)
    limits.admit_verifier("apple", 0.0)


PROXIES = frozenset({"10.0.0.1", "10.0.0.2"})


@pytest.mark.parametrize(
    ("peer", "forwarded", "counted"),
    [
        ("1.2.3.4", "", "1.2.3.4"),
        ("1.2.3.4", "9.9.9.9", "1.2.3.4"),
        ("10.0.0.1", "9.9.9.9", "9.9.9.9"),
        ("10.0.0.1", "8.8.8.8, 9.9.9.9", "9.9.9.9"),
        ("10.0.0.1", "8.8.8.8, 9.9.9.9, 10.0.0.2", "9.9.9.9"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", " , ,", "10.0.0.1"),
        ("2001:db8:1:2:3:4:5:6", "", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::", "", "2001:db8:1:2::/64"),
        ("::ffff:1.2.3.4", "", "1.2.3.4"),
        ("fe80::1%eth0", "", "fe80::/64"),
        ("not:an:address", "", "not:an:address"),
        ("", "", ""),
    ],
)
def test_the_address_a_request_counts_for(peer: str, forwarded: str, counted: str) -> None:
    assert client_address(peer, forwarded, PROXIES) == counted


def test_a_made_up_forwarded_entry_can_not_fill_memory() -> None:
    assert len(client_address("10.0.0.1", "x" * 10_000, PROXIES)) == 64
