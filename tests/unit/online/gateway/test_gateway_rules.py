from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.core.tag_catalogue import TagCatalogue
from pipelines.online.gateway import rules
from pipelines.online.stores import Published
from tests import gateway_sample as sample

US = timedelta(microseconds=1)
HOUR = timedelta(hours=1)


def published(as_of: datetime) -> Published:
    return Published(as_of, as_of, "s1", as_of, "v1")


@pytest.mark.parametrize(
    ("age", "status"),
    [
        pytest.param(timedelta(0), "fresh", id="just published"),
        pytest.param(26 * HOUR, "fresh", id="at the SLO"),
        pytest.param(26 * HOUR + US, "stale", id="a microsecond over the SLO"),
        pytest.param(48 * HOUR, "stale", id="at max_age"),
        pytest.param(48 * HOUR + US, "expired", id="a microsecond over max_age"),
        pytest.param(-HOUR, "fresh", id="as_of is yet to come"),
    ],
)
def test_a_view_turns_stale_then_expired(age: timedelta, status: str) -> None:
    now = sample.AS_OF + age
    state = rules.view_state(sample.ORDERS, published(sample.AS_OF), now, serve_stale=False)
    assert state.status == status


def test_a_consumer_that_takes_stale_values_never_gets_them_as_fresh_or_expired() -> None:
    now = sample.AS_OF + timedelta(days=400)
    state = rules.view_state(sample.ORDERS, published(sample.AS_OF), now, serve_stale=True)
    assert (state.status, state.age_s) == ("stale", 400 * 86400)


def test_a_view_that_was_never_published_is_absent() -> None:
    state = rules.view_state(sample.ORDERS, None, sample.NOW, serve_stale=True)
    assert state == rules.ViewState("absent")


def test_age_counts_whole_seconds() -> None:
    now = sample.AS_OF + timedelta(seconds=90, milliseconds=999)
    state = rules.view_state(sample.ORDERS, published(sample.AS_OF), now, serve_stale=False)
    assert state.age_s == 90


@given(
    start=st.integers(-(10**9), 10**10),
    length=st.integers(1, 10**9),
    now_us=st.integers(-(10**15), 10**16),
)
def test_a_tag_holds_exactly_within_its_interval(start: int, length: int, now_us: int) -> None:
    end = start + length
    found = rules.tags_at(["a.b"], [start], [end], now_us // 10**6, profiling=True)
    assert bool(found.kept) == (start * 10**6 <= now_us < end * 10**6)


def test_profiling_tags_are_hidden_without_consent_and_the_rest_is_not() -> None:
    codes = ["rfm.important_value", "lifecycle.lost", "value.high", "risk.churn_low", "rfmx.a"]
    found = rules.tags_at(codes, [0] * 5, [10] * 5, 5, profiling=False)
    assert [codes[i] for i in found.kept] == ["lifecycle.lost", "rfmx.a"]
    assert found.is_withheld


def test_a_hidden_tag_that_does_not_hold_now_is_not_said_to_be_hidden() -> None:
    assert not rules.tags_at(["rfm.a"], [0], [10], 10, profiling=False).is_withheld


def reasons(
    *codes: str, late: tuple[str, ...] = (), erased: bool = False, **values: object
) -> list[str]:
    held = {"consent_marketing": True, "promo_touches_30d": 0, **values}
    given = rules.PromoInputs(erased, frozenset(late), frozenset(codes), held)  # type: ignore[arg-type]
    return rules.promo_reasons(given, 1_000_000_000)


@pytest.mark.parametrize(
    ("expected", "found"),
    [
        pytest.param([], reasons(), id="nothing speaks against it"),
        pytest.param(["consent"], reasons(consent_marketing=None), id="consent not on record"),
        pytest.param(["consent"], reasons(consent_marketing=False), id="consent withdrawn"),
        pytest.param(["consent"], reasons("consent.no_marketing"), id="opted out by tag"),
        pytest.param(["contact_expired"], reasons(late=(rules.CONTACT,)), id="contact too old"),
        pytest.param(["tags_expired"], reasons(late=(rules.TAGS,)), id="tags too old"),
        pytest.param(["voice_expired"], reasons(late=(rules.VOICE,)), id="voice too old"),
        pytest.param(["holdout"], reasons(holdout_arm="holdout"), id="held out"),
        pytest.param([], reasons(holdout_arm="treatment"), id="treated"),
        pytest.param(["holdout"], reasons("exp.holdout_global"), id="held out by tag"),
        pytest.param(["fatigue"], reasons(promo_touches_30d=4), id="four promotions"),
        pytest.param([], reasons(promo_touches_30d=3), id="three promotions"),
        pytest.param(["fatigue"], reasons("contact.fatigue"), id="tired by tag"),
        pytest.param(["quota"], reasons(wecom_quota_left=0), id="no messages left"),
        pytest.param([], reasons(wecom_quota_left=1), id="one message left"),
        pytest.param(["open_complaint"], reasons(open_cases=1), id="open case"),
        pytest.param([], reasons(open_cases=0), id="no open case"),
        pytest.param(["open_complaint"], reasons("service.open_complaint"), id="complaint by tag"),
        pytest.param(["reseller"], reasons("type.reseller"), id="reseller"),
        pytest.param(["erased"], reasons(erased=True), id="erased"),
        pytest.param(
            ["consent", "quota", "reseller"],
            reasons("type.reseller", consent_marketing=None, wecom_quota_left=0),
            id="every reason is named",
        ),
    ],
)
def test_a_promotion_is_refused_for_every_reason_there_is(
    expected: list[str], found: list[str]
) -> None:
    assert found == expected


def test_fatigue_goes_by_the_instants_where_they_are_held() -> None:
    """29 days 23:59:59 ago counts, 30 days and a second ago no longer does."""
    now = 1_000_000_000
    edge = now - 30 * 86400
    recent = [now - 10, now - 20, now - 30]
    assert reasons(recent_promo_instants=[*recent, edge]) == ["fatigue"]
    assert reasons(recent_promo_instants=[*recent, edge - 1], promo_touches_30d=9) == []


@pytest.mark.parametrize(
    ("instant", "days"),
    [(0, 1), (86_400 - 1, 0), (86_400, 0), (86_401, -1), (None, None)],
)
def test_days_since_counts_whole_days(instant: int | None, days: int | None) -> None:
    assert rules.days_since(instant, 86_400) == days


def coupons(*spans: tuple[str | None, str | None]) -> str:
    return json.dumps([{"valid_from": start, "expires_at": end} for start, end in spans])


DAY_2, DAY_4 = "1970-01-02T00:00:00.000000Z", "1970-01-04T00:00:00.000000Z"


@pytest.mark.parametrize(
    ("now_s", "kept", "first"),
    [
        pytest.param(86_400 - 1, [0, 2], 86_400, id="a second before the seam"),
        pytest.param(86_400, [1, 2], 3 * 86_400, id="at the seam"),
        pytest.param(3 * 86_400, [2], None, id="at the end"),
    ],
)
def test_a_coupon_works_from_its_start_to_before_its_end(
    now_s: int, kept: list[int], first: int | None
) -> None:
    spans: list[tuple[str | None, str | None]] = [(None, DAY_2), (DAY_2, DAY_4), (None, None)]
    found = rules.coupons_at(coupons(*spans), now_s)
    assert found is not None
    assert json.loads(found.text) == json.loads(coupons(*(spans[i] for i in kept)))
    assert found.first_expiry == first


def test_a_list_that_loses_nothing_is_passed_on_letter_by_letter() -> None:
    listed = '[ {"expires_at":  "1970-01-04T00:00:00Z"} ]'
    assert rules.coupons_at(listed, 0) == (listed, 3 * 86_400)
    assert rules.coupons_at("[]", 0) == ("[]", None)


@pytest.mark.parametrize("text", ["", "{}x", "[1]", '[{"expires_at": "soon"}]', '[{"a": 1}]'])
def test_what_is_no_list_of_coupons_is_left_alone(text: str) -> None:
    assert rules.coupons_at(text, 0) is None


def test_every_tag_that_profiles_is_in_a_group_that_consent_hides() -> None:
    """The tag catalogue says which tags need consent, the gateway goes by their first word."""
    tags = TagCatalogue.load().tags.values()
    profiling = {tag.code.partition(".")[0] for tag in tags if tag.purpose == "profiling"}
    assert profiling
    assert profiling <= rules.PROFILING_GROUPS


def test_an_instant_beyond_the_calendar_is_its_last_second() -> None:
    assert rules.as_instant(10**15) == datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
