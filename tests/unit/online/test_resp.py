"""What a Redis URL says, and the slots of a cluster."""

from __future__ import annotations

import pytest

from pipelines.core.errors import UsageError
from pipelines.online.redis_cluster import slot
from pipelines.online.resp import Address, parse_url


@pytest.mark.parametrize(
    ("url", "address", "cluster"),
    [
        ("redis://cache", Address("cache"), False),
        ("redis://cache:7000/3", Address("cache", 7000, db=3), False),
        ("redis://cache?db=4", Address("cache", db=4), False),
        ("rediss://u:p%40@cache", Address("cache", username="u", password="p@", tls=True), False),
        (
            "rediss://cache?ssl_ca_certs=/ca.pem",
            Address("cache", tls=True, ca_file="/ca.pem"),
            False,
        ),
        ("unix:///run/redis.sock?db=2", Address(path="/run/redis.sock", db=2), False),
        ("redis+cluster://node:7001", Address("node", 7001), True),
        ("redis://[::1]:6380", Address("::1", 6380), False),
    ],
)
def test_a_url_names_an_address(url: str, address: Address, cluster: bool) -> None:
    assert parse_url(url) == (address, cluster)


@pytest.mark.parametrize("url", ["http://cache", "cache:6379", "redis+x://c", "redis://c/one"])
def test_what_is_no_redis_url_is_refused(url: str) -> None:
    with pytest.raises(UsageError, match="REDIS_URL"):
        parse_url(url)


def test_a_password_is_in_no_message() -> None:
    address = parse_url("redis://:secret@cache:7000").address
    assert "secret" not in repr(address) + address.name


@pytest.mark.parametrize(
    ("key", "expected"),
    # 12739 is the check value that the Redis Cluster specification gives for CRC16
    [(b"123456789", 12739), (b"{123456789}.x", 12739), (b"a{}b", slot(b"a{}b")), (b"", 0)],
)
def test_a_slot_is_the_crc_of_the_key_or_of_its_braces(key: bytes, expected: int) -> None:
    assert slot(key) == expected
