from __future__ import annotations

import json
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pipelines.core.errors import UsageError
from pipelines.core.home import Brand
from pipelines.online.access.caller import LOCAL, CredentialsError
from pipelines.online.access.keys import KeyRing, create_key, keys_path, list_keys, revoke_key
from pipelines.online.access.limits import TokenBucket
from pipelines.online.access.oidc import OidcConfig, configure_oidc, oidc_path
from pipelines.online.access.policy import Access, require_closed

NOW = datetime(2025, 3, 1, tzinfo=UTC)


@pytest.fixture
def brand(tmp_path: Path) -> Brand:
    return Brand(tmp_path / "brands" / "demo")


def ring(brand: Brand) -> KeyRing:
    return KeyRing.load(keys_path(brand))


def test_a_key_opens_what_it_was_made_for(brand: Brand) -> None:
    key, token = create_key(brand, "sidebar", ["a_v1", "b_v1"], now=NOW, scopes=["replay"])
    caller = ring(brand).caller(token, NOW)
    assert caller.who == f"key:{key.id}"
    assert caller.may_read("a_v1")
    assert not caller.may_read("c_v1")
    assert caller.scopes == {"replay"}


def test_a_star_reads_every_service(brand: Brand) -> None:
    _, token = create_key(brand, "all", ["*"], now=NOW)
    assert ring(brand).caller(token, NOW).may_read("anything_v9")


def test_the_file_holds_no_key_and_is_its_owners_alone(brand: Brand) -> None:
    _, token = create_key(brand, "sidebar", ["a_v1"], now=NOW)
    path = keys_path(brand)
    secret = token.split("_", 2)[2]
    assert secret not in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_two_keys_share_nothing(brand: Brand) -> None:
    _, one = create_key(brand, "a", ["a_v1"], now=NOW)
    _, other = create_key(brand, "b", ["a_v1"], now=NOW)
    assert len(one.split("_", 2)[2]) == 43  # 256 bits
    assert one.split("_", 2)[1:] != other.split("_", 2)[1:]


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(
            lambda token: token[:-1] + ("A" if token[-1] != "A" else "B"), id="last letter"
        ),
        pytest.param(lambda token: token[:-1], id="one letter short"),
        pytest.param(lambda token: token + "A", id="one letter long"),
        pytest.param(lambda token: "huitou_ffffffff_" + token.split("_", 2)[2], id="unknown id"),
        pytest.param(lambda token: token.rpartition("_")[0], id="no secret"),
        pytest.param(lambda _: "huitou__", id="empty"),
        pytest.param(lambda _: "huitou_é_é", id="not ascii"),
    ],
)
def test_a_wrong_key_opens_nothing(brand: Brand, spoil: object) -> None:
    _, token = create_key(brand, "sidebar", ["a_v1"], now=NOW)
    with pytest.raises(CredentialsError):
        ring(brand).caller(spoil(token), NOW)  # type: ignore[operator]


def test_a_revoked_key_opens_nothing_and_stays_listed(brand: Brand) -> None:
    key, token = create_key(brand, "sidebar", ["a_v1"], now=NOW)
    revoke_key(brand, "sidebar", now=NOW)
    with pytest.raises(CredentialsError):
        ring(brand).caller(token, NOW)
    assert [(one.id, one.revoked_at) for one in list_keys(brand)] == [
        (key.id, "2025-03-01T00:00:00.000000Z")
    ]


def test_revoking_one_key_leaves_the_other(brand: Brand) -> None:
    key, _ = create_key(brand, "sidebar", ["a_v1"], now=NOW)
    _, token = create_key(brand, "sidebar", ["a_v1"], now=NOW)
    with pytest.raises(UsageError, match="2 keys are named"):
        revoke_key(brand, "sidebar", now=NOW)
    revoke_key(brand, key.id, now=NOW)
    assert ring(brand).caller(token, NOW)
    with pytest.raises(UsageError, match="no valid key"):
        revoke_key(brand, key.id, now=NOW)


def test_a_key_ends_at_its_instant(brand: Brand) -> None:
    _, token = create_key(brand, "trial", ["a_v1"], now=NOW, expires_at=NOW + timedelta(days=1))
    keys = ring(brand)
    assert keys.caller(token, NOW + timedelta(days=1, microseconds=-1))
    with pytest.raises(CredentialsError):
        keys.caller(token, NOW + timedelta(days=1))


@pytest.mark.parametrize(
    ("services", "options", "words"),
    [
        ([], {}, "needs a service"),
        (["a_v1"], {"scopes": ["admin"]}, "unknown scope 'admin'"),
        (["a_v1"], {"rate": -1}, "not below zero"),
    ],
)
def test_a_key_that_makes_no_sense_is_not_made(
    brand: Brand, services: list[str], options: dict[str, object], words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        create_key(brand, "x", services, now=NOW, **options)  # type: ignore[arg-type]
    assert not keys_path(brand).exists()


def test_a_rate_lets_so_many_members_through_a_second() -> None:
    """10 a second, 20 at once: 20 now, the 21st after a tenth of a second."""
    time = [0.0]
    bucket = TokenBucket(10, 20, clock=lambda: time[0])
    assert [bucket.take(1) for _ in range(20)] == [0.0] * 20
    assert bucket.take(1) == pytest.approx(0.1)
    time[0] = 0.1
    assert bucket.take(1) == 0.0
    assert bucket.take(1) > 0


def test_a_batch_over_the_burst_waits_for_a_full_bucket_and_leaves_a_debt() -> None:
    """100 members at 10 a second, burst 20: allowed when full, then 10 s until the next one."""
    time = [0.0]
    bucket = TokenBucket(10, 20, clock=lambda: time[0])
    assert bucket.take(100) == 0.0
    assert bucket.take(1) == pytest.approx(8.1)  # from -80 to 1
    time[0] = 8.1
    assert bucket.take(1) == 0.0


def test_no_rate_is_no_limit() -> None:
    bucket = TokenBucket()
    assert [bucket.take(10**6) for _ in range(3)] == [0.0] * 3


def test_a_key_keeps_its_debt_when_the_file_is_read_again(brand: Brand) -> None:
    _, token = create_key(brand, "slow", ["a_v1"], now=NOW, rate=0.001, burst=1)
    former = ring(brand)
    assert former.caller(token, NOW).bucket.take(1) == 0.0
    create_key(brand, "other", ["a_v1"], now=NOW)
    assert KeyRing.load(keys_path(brand), former).caller(token, NOW).bucket.take(1) > 0


def test_without_keys_the_gateway_is_open_and_keeps_to_loopback(brand: Brand) -> None:
    access = Access.load(brand)
    assert access.at_once(None, NOW) is LOCAL
    for host in ("127.0.0.1", "::1", "localhost"):
        require_closed(access, host)
    for host in ("0.0.0.0", "::", "192.168.1.5", "example.org"):  # noqa: S104  # what is refused
        with pytest.raises(UsageError, match="neither keys nor OIDC"):
            require_closed(access, host)


def test_a_key_closes_the_gateway_and_lets_it_listen_anywhere(brand: Brand) -> None:
    create_key(brand, "sidebar", ["a_v1"], now=NOW)
    access = Access.load(brand)
    require_closed(access, "0.0.0.0")  # noqa: S104  # allowed now
    for header in (None, "", "Bearer", "Basic dTpw", "Bearer x"):
        with pytest.raises(CredentialsError):
            access.at_once(header, NOW)


def test_once_closed_a_gateway_stays_closed(brand: Brand) -> None:
    """All keys revoked, even the file gone: nobody gets in, rather than everybody."""
    create_key(brand, "sidebar", ["a_v1"], now=NOW)
    closed = Access.load(brand)
    keys_path(brand).unlink()
    assert not Access.load(brand, closed).is_open
    assert Access.load(brand).is_open


@pytest.mark.parametrize(
    ("issuer", "audience", "words"),
    [
        ("", "huitou", "an issuer and an audience"),
        ("https://id.example", "", "an issuer and an audience"),
        ("http://id.example", "huitou", "not an https address"),
        ("http://localhost.evil.example", "huitou", "not an https address"),
        ("http://127.0.0.1@evil.example", "huitou", "not an https address"),
    ],
)
def test_an_issuer_is_reached_over_https_even_if_its_file_was_written_by_hand(
    brand: Brand, issuer: str, audience: str, words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        configure_oidc(brand, OidcConfig(issuer, audience))
    path = oidc_path(brand)
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"issuer": issuer, "audience": audience}))
    with pytest.raises(UsageError, match=words):
        Access.load(brand)


def test_a_gateway_closed_by_an_issuer_stays_closed_without_it(brand: Brand) -> None:
    configure_oidc(brand, OidcConfig("https://id.example", "huitou"))
    closed = Access.load(brand)
    oidc_path(brand).unlink()
    after = Access.load(brand, closed)
    with pytest.raises(CredentialsError):
        after.at_once("Bearer eyJ.x.y", NOW)
