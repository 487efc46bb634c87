"""What `/v1/members` answers, over the sample in SQLite."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from pipelines.core.clock import iso
from pipelines.core.home import Brand
from pipelines.online.access.erasures import erase_online
from tests import gateway_sample as sample
from tests.gateway_sample import LocalClient
from tests.unit.online.gateway.conftest import MakeClient

US = timedelta(microseconds=1)
SINCE = "2025-02-27T16:00:00Z"


def features(
    client: LocalClient, member_id: str, service: str = "chat_sidebar_v1", **query: str
) -> Any:
    answer = client.get(f"/v1/members/{member_id}", params={"service": service, **query})
    assert answer.status_code == 200, answer.text
    return answer.json()["features"]


def value(value: Any) -> dict[str, Any]:
    return {"value": value, "status": "fresh", "since": SINCE}


def lacking(status: str) -> dict[str, Any]:
    return {"value": None, "status": status, "since": None}


def test_a_value_comes_with_its_status_and_since_when_it_holds(client: LocalClient) -> None:
    assert features(client, "anna")["member_orders_v1"] == {
        "order_count_90d": value(3),
        "discount_order_share_365d": value(0.25),
        "primary_channel": value("store"),
        "last_order_at": value("2025-02-19T16:00:00Z"),
    }


def test_the_answer_says_which_data_it_is_and_how_old(client: LocalClient) -> None:
    answer = client.get("/v1/members/anna?service=lenient_v1").json()
    assert answer["now"] == "2025-03-01T19:00:00Z"
    assert answer["snapshot_id"] == sample.SNAPSHOT
    assert answer["definition_version"] == sample.catalog().version
    assert answer["views"] == {
        "member_orders_v1": {
            "status": "fresh",
            "as_of": "2025-03-01T16:00:00Z",
            "known_at": "2025-03-01T16:20:00Z",
            "published_at": "2025-03-01T16:20:00Z",
            "age_s": 3 * 3600,
            "snapshot_id": sample.SNAPSHOT,
        }
    }


def test_null_zero_and_empty_text_are_kept_apart(client: LocalClient) -> None:
    found = features(client, "bao")["member_orders_v1"]
    assert found["order_count_90d"] == value(0)
    assert found["discount_order_share_365d"] == value(None)
    assert found["primary_channel"] == value("")


def test_every_type_arrives_as_json_has_it(client: LocalClient) -> None:
    found = features(client, "full", "probe_v1")["member_probe_v1"]
    assert {name: cell["value"] for name, cell in found.items()} == {
        "whole": -9007199254740993,
        "part": 0.1,
        "words": "回頭客 🧋",
        "flag": True,
        "at": "2025-03-01T16:00:00Z",
        "texts": ["甲", "", "c"],
        "instants": ["2025-02-27T16:00:00Z", "2025-03-01T16:00:00Z"],
        "shares": [0.5, -1.25],
        "counts": [0, -7, 1099511627776],
    }


def test_an_unknown_member_is_absent_not_an_error(client: LocalClient) -> None:
    found = features(client, "nobody")
    cells = [cell for view in found.values() for cell in view.values()]
    assert cells == [lacking("absent")] * 18


def test_a_member_that_only_some_views_hold_is_absent_in_the_others(client: LocalClient) -> None:
    found = features(client, "dora")
    assert found["member_orders_v1"]["order_count_90d"] == lacking("absent")
    assert found["member_contact_v1"]["wecom_quota_left"] == value(0)


def test_a_member_id_may_hold_anything_if_percent_encoded(client: LocalClient) -> None:
    found = features(client, "%E6%9C%83%E5%93%A1%2F1", "lenient_v1")
    assert found["member_orders_v1"]["primary_channel"] == value("小程序")


def test_values_too_old_are_null_and_expired(client: LocalClient) -> None:
    """One second past max_age of 48 h; the contact view expired at 6 h."""
    found = features(client, "anna", now=iso(sample.AS_OF + timedelta(hours=48, seconds=1)))
    expired = {"value": None, "status": "expired", "since": SINCE}
    assert found["member_orders_v1"]["order_count_90d"] == expired
    assert found["member_tags_v1"]["tags"] == expired
    assert found["member_risk_v1"]["p_churn_90d"] == {**value(0.125), "status": "stale"}


def test_a_late_batch_is_served_as_stale(client: LocalClient) -> None:
    found = features(client, "anna", now=iso(sample.AS_OF + timedelta(hours=30)))
    assert found["member_orders_v1"]["order_count_90d"] == {**value(3), "status": "stale"}


def test_a_service_that_takes_stale_values_gets_them_with_their_age(client: LocalClient) -> None:
    now = iso(sample.AS_OF + timedelta(days=30))
    answer = client.get(f"/v1/members/anna?service=lenient_v1&now={now}").json()
    cell = answer["features"]["member_orders_v1"]["order_count_90d"]
    assert cell == {**value(3), "status": "stale"}
    assert answer["views"]["member_orders_v1"]["age_s"] == 30 * 86400


def test_profiling_values_of_a_member_who_opted_out_are_withheld(client: LocalClient) -> None:
    found = features(client, "bao")
    assert found["member_risk_v1"] == dict.fromkeys(("p_churn_90d", "reasons"), lacking("withheld"))
    assert found["member_tags_v1"]["tags"] == value(["lifecycle.repeat_active"])
    assert found["member_tags_v1"]["tag_set_hash"] == lacking("withheld")


def test_who_never_stated_anything_is_profiled_unless_the_brand_requires_consent(
    make_client: MakeClient,
) -> None:
    found = features(make_client(), "chen")["member_risk_v1"]["p_churn_90d"]
    assert found == value(0.125)
    required = make_client(profiling_consent="required")
    assert features(required, "chen")["member_risk_v1"]["p_churn_90d"] == lacking("withheld")
    assert features(required, "anna")["member_risk_v1"]["p_churn_90d"] == value(0.125)


def test_profiling_is_closed_while_no_consents_are_held(
    make_client: MakeClient, brand: Brand
) -> None:
    """The contact view has no row of this member: they may have opted out for all we know."""
    store = sample.sqlite_store(brand)
    sample.publish(store, sample.RISK, {"fay": {"p_churn_90d": 0.5}}, sample.AS_OF)
    sample.publish(store, sample.TAGS, {"fay": sample.FRIENDLY}, sample.AS_OF)
    found = features(make_client(store), "fay")
    assert found["member_risk_v1"]["p_churn_90d"] == lacking("withheld")
    assert found["member_tags_v1"]["tags"] == value(["lifecycle.repeat_active"])


def test_consent_withholds_even_what_is_not_held(make_client: MakeClient, brand: Brand) -> None:
    """Otherwise the status would tell whether a score exists."""
    store = sample.sqlite_store(brand)
    refusing = sample.contact(marketing=True, profiling=False)
    sample.publish(store, sample.CONTACT, {"erik": refusing}, sample.AS_OF)
    found = features(make_client(store), "erik")
    assert found["member_risk_v1"]["p_churn_90d"] == lacking("withheld")


def test_an_erased_member_stays_erased_whatever_the_store_holds(
    make_client: MakeClient, brand: Brand
) -> None:
    assert erase_online(brand, ["anna"]) == 1
    client = make_client()
    answer = client.get("/v1/members/anna?service=chat_sidebar_v1").json()
    cells = [cell for view in answer["features"].values() for cell in view.values()]
    assert cells == [lacking("erased")] * 18
    assert answer["eligibility"] == {"promo_allowed": False, "reasons": ["erased"]}
    assert answer["clock"] == {"days_since_last_order": None, "coupon_days_left": None}
    tags = client.get("/v1/members/anna/tags").json()
    assert (tags["status"], tags["tags"]) == ("erased", [])


def test_the_erasure_list_names_nobody(brand: Brand) -> None:
    erase_online(brand, ["anna", "bao"])
    assert erase_online(brand, ["anna"]) == 0
    text = (brand.root / "access" / "erased.txt").read_text()
    assert "anna" not in text
    assert len(text.split()) == 2


def test_coupons_are_those_that_work_now(client: LocalClient) -> None:
    """i1 ended an hour ago, i2 ends 2025-03-06 19:00, i3 begins tomorrow."""
    found = features(client, "anna")["member_coupons_v1"]
    kept = '[{"issue_id":"i2","valid_from":null,"expires_at":"2025-03-06T19:00:00.000000Z"}]'
    assert found["open_coupons"] == value(kept)
    assert found["next_coupon_expiry_at"] == value("2025-03-06T19:00:00Z")
    early = features(client, "anna", now=iso(sample.AS_OF))["member_coupons_v1"]
    assert early["next_coupon_expiry_at"] == value("2025-03-01T18:00:00Z")


def test_clock_values_move_with_now(client: LocalClient) -> None:
    """i2 ends five days after NOW; two days later the orders are too old to count by."""
    url = "/v1/members/anna?service=chat_sidebar_v1&now="
    early = client.get(url + iso(sample.NOW)).json()["clock"]
    assert early == {"days_since_last_order": 10, "coupon_days_left": 5}
    later = client.get(url + iso(sample.NOW + 5 * sample.DAY)).json()
    assert later["clock"] == {"days_since_last_order": None, "coupon_days_left": None}


@pytest.mark.parametrize(
    ("member_id", "expected"),
    [
        ("anna", []),
        ("bao", ["consent"]),
        ("chen", ["consent"]),
        ("dora", ["holdout", "fatigue", "quota"]),
        ("nobody", ["consent"]),
    ],
)
def test_eligibility_names_every_reason(
    client: LocalClient, member_id: str, expected: list[str]
) -> None:
    answer = client.get(f"/v1/members/{member_id}?service=mass_sender_v1").json()
    assert answer["eligibility"] == {"promo_allowed": not expected, "reasons": expected}


def test_eligibility_is_closed_once_the_contact_view_expired(client: LocalClient) -> None:
    now = iso(sample.AS_OF + timedelta(hours=6) + US)
    answer = client.get(f"/v1/members/anna?service=mass_sender_v1&now={now}").json()
    assert answer["eligibility"] == {"promo_allowed": False, "reasons": ["contact_expired"]}


def test_only_a_service_that_reads_contact_has_eligibility(client: LocalClient) -> None:
    assert "eligibility" not in client.get("/v1/members/anna?service=lenient_v1").json()


def codes(client: LocalClient, member_id: str, **query: str) -> list[str]:
    answer = client.get(f"/v1/members/{member_id}/tags", params=query).json()
    return [tag["code"] for tag in answer["tags"]]


def test_a_tag_begins_at_its_bound(client: LocalClient) -> None:
    """`coupon.expiring_3d` holds [NOW + 1 d, NOW + 4 d)."""
    begins = sample.NOW + sample.DAY
    assert "coupon.expiring_3d" not in codes(client, "anna", now=iso(begins - US))
    assert "coupon.expiring_3d" in codes(client, "anna", now=iso(begins))


def test_a_tag_ends_at_its_bound(make_client: MakeClient, brand: Brand) -> None:
    store = sample.sqlite_store(brand)
    ends = sample.NOW + 4 * sample.DAY
    sample.publish(store, sample.TAGS, {"anna": sample.ROWS[sample.TAGS.name]["anna"]}, ends)
    client = make_client(store)
    assert "coupon.expiring_3d" in codes(client, "anna", now=iso(ends - US))
    assert "coupon.expiring_3d" not in codes(client, "anna", now=iso(ends))


def test_exactly_one_tag_of_an_exclusive_group_holds_at_its_seam(
    make_client: MakeClient, brand: Brand
) -> None:
    store = sample.sqlite_store(brand)
    seam = sample.NOW + 10 * sample.DAY
    sample.publish(store, sample.TAGS, {"anna": sample.ROWS[sample.TAGS.name]["anna"]}, seam)
    client = make_client(store)
    for now, expected in ((seam - US, "repeat_active"), (seam, "cooling")):
        held = [code for code in codes(client, "anna", now=iso(now)) if "lifecycle" in code]
        assert held == [f"lifecycle.{expected}"]


def test_tags_come_with_their_interval_and_no_end_where_none_is_known(client: LocalClient) -> None:
    answer = client.get("/v1/members/anna/tags").json()
    assert answer["tags"] == [
        {"code": "lifecycle.repeat_active", "from": SINCE, "until": "2025-03-11T19:00:00Z"},
        {"code": "rfm.important_value", "from": SINCE, "until": None},
    ]
    assert (answer["status"], answer["since"]) == ("fresh", SINCE)
    assert answer["is_partly_withheld"] is False
    assert list(answer["views"]) == ["member_tags_v1"]


def test_tags_left_out_for_want_of_consent_are_said_to_be(client: LocalClient) -> None:
    answer = client.get("/v1/members/bao/tags").json()
    assert [tag["code"] for tag in answer["tags"]] == ["lifecycle.repeat_active"]
    assert answer["is_partly_withheld"] is True


def test_a_batch_answers_in_the_order_asked(client: LocalClient) -> None:
    body = {"service": "mass_sender_v1", "member_ids": ["bao", "nobody", "anna", "bao"]}
    answer = client.post("/v1/members:batch", json=body).json()
    assert [one["member_id"] for one in answer["members"]] == body["member_ids"]
    for one in answer["members"]:
        alone = client.get(f"/v1/members/{one['member_id']}?service=mass_sender_v1").json()
        assert one == {key: alone[key] for key in one}
    assert answer["snapshot_id"] == sample.SNAPSHOT


def test_a_batch_of_a_thousand_is_answered_and_one_more_is_not(client: LocalClient) -> None:
    ids = [f"m{i}" for i in range(1001)]
    body = {"service": "lenient_v1", "member_ids": ids[:1000]}
    assert len(client.post("/v1/members:batch", json=body).json()["members"]) == 1000
    refused = client.post("/v1/members:batch", json={**body, "member_ids": ids})
    assert refused.status_code == 400
    assert refused.json()["error"]["code"] == "too_many_members"


def test_a_view_never_published_is_absent_and_says_so(
    make_client: MakeClient, brand: Brand
) -> None:
    store = sample.sqlite_store(brand, filled=False)
    sample.publish(store, sample.TAGS, {}, sample.AS_OF)
    answer = make_client(store).get("/v1/members/anna?service=lenient_v1").json()
    (state,) = answer["views"].values()
    assert state.pop("status") == "absent"
    assert set(state.values()) == {None}
    assert answer["features"]["member_orders_v1"]["order_count_90d"] == lacking("absent")


def test_a_feature_defined_but_not_yet_published_is_absent(
    make_client: MakeClient, brand: Brand
) -> None:
    store = sample.sqlite_store(brand, filled=False)
    older = sample.view(sample.ORDERS.name, {"order_count_90d": "bigint"})
    sample.publish(store, older, {"anna": {"order_count_90d": 3}}, sample.AS_OF)
    found = features(make_client(store), "anna", "lenient_v1")["member_orders_v1"]
    assert found["order_count_90d"] == value(3)
    assert found["primary_channel"] == lacking("absent")
