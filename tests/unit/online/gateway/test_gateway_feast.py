"""Feast's protocol, over the sample in SQLite; what Feast itself says is in the integration."""

from __future__ import annotations

from typing import Any

import pytest

from pipelines.core.clock import iso
from pipelines.core.home import Brand
from pipelines.online.access.erasures import erase_online
from tests import gateway_sample as sample
from tests.gateway_sample import LocalClient
from tests.unit.online.gateway.conftest import MakeClient

EPOCH = "1970-01-01T00:00:00Z"
SINCE = "2025-02-27T16:00:00Z"


def ask(client: LocalClient, **body: Any) -> dict[str, Any]:
    answer = client.post("/get-online-features", json=body)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def column(answer: dict[str, Any], name: str) -> tuple[list[Any], list[str]]:
    vector = answer["results"][answer["metadata"]["feature_names"].index(name)]
    return vector["values"], vector["statuses"]


def test_the_response_has_the_shape_of_feasts_own(client: LocalClient) -> None:
    features = ["member_orders_v1:primary_channel", "member_orders_v1:order_count_90d"]
    assert ask(client, features=features, entities={"member_id": ["anna", "nobody"]}) == {
        "metadata": {"feature_names": ["member_id", "primary_channel", "order_count_90d"]},
        "results": [
            {
                "values": ["anna", "nobody"],
                "statuses": ["PRESENT", "PRESENT"],
                "event_timestamps": [EPOCH, EPOCH],
            },
            {
                "values": ["store", None],
                "statuses": ["PRESENT", "NOT_FOUND"],
                "event_timestamps": [SINCE, EPOCH],
            },
            {
                "values": [3, None],
                "statuses": ["PRESENT", "NOT_FOUND"],
                "event_timestamps": [SINCE, EPOCH],
            },
        ],
    }


def test_features_come_in_the_order_asked_across_views(client: LocalClient) -> None:
    features = [
        "member_risk_v1:p_churn_90d",
        "member_orders_v1:order_count_90d",
        "member_risk_v1:reasons",
    ]
    answer = ask(client, features=features, entities={"member_id": ["anna"]})
    assert answer["metadata"]["feature_names"][1:] == ["p_churn_90d", "order_count_90d", "reasons"]
    assert [one["values"] for one in answer["results"][1:]] == [[0.125], [3], [["gap_long"]]]


def test_full_names_carry_the_view(client: LocalClient) -> None:
    answer = ask(
        client,
        feature_service="lenient_v1",
        entities={"member_id": ["anna"]},
        full_feature_names=True,
    )
    assert answer["metadata"]["feature_names"][1] == "member_orders_v1__order_count_90d"


def test_a_service_of_two_entities_reads_both(client: LocalClient) -> None:
    answer = ask(
        client,
        feature_service="store_v1",
        entities={"store_id": ["s1", "s1"], "member_id": ["anna", "bao"]},
    )
    assert answer["metadata"]["feature_names"][:2] == ["store_id", "member_id"]
    assert column(answer, "hot_skus_7d")[0] == [["sku1", "sku2"]] * 2
    assert column(answer, "order_count_90d")[0] == [3, 0]


def test_features_of_a_store_need_no_member(client: LocalClient) -> None:
    answer = ask(client, features=["store_hot_v1:hot_skus_7d"], entities={"store_id": ["s1", "x"]})
    assert column(answer, "hot_skus_7d") == ([["sku1", "sku2"], None], ["PRESENT", "NOT_FOUND"])


def test_columns_that_are_no_join_key_are_ignored_as_feast_does(client: LocalClient) -> None:
    entities = {"member_id": ["anna"], "colour": [7]}
    answer = ask(client, feature_service="lenient_v1", entities=entities)
    assert "colour" not in answer["metadata"]["feature_names"]


def test_no_rows_are_answered_with_no_rows(client: LocalClient) -> None:
    answer = ask(client, feature_service="lenient_v1", entities={"member_id": []})
    assert [one["values"] for one in answer["results"]] == [[]] * 5


@pytest.mark.parametrize(
    ("member_id", "expected"),
    [
        ("anna", ([0.125], ["PRESENT"])),
        ("bao", ([None], ["NOT_FOUND"])),
        ("chen", ([0.125], ["PRESENT"])),
        ("nobody", ([None], ["NOT_FOUND"])),
    ],
)
def test_consent_holds_for_feast_too(client: LocalClient, member_id: str, expected: Any) -> None:
    features = ["member_risk_v1:p_churn_90d"]
    answer = ask(client, features=features, entities={"member_id": [member_id]})
    assert column(answer, "p_churn_90d") == expected


def test_tags_are_those_that_hold_now(client: LocalClient) -> None:
    features = ["member_tags_v1:tags", "member_tags_v1:tag_set_hash"]
    answer = ask(client, features=features, entities={"member_id": ["anna", "bao", "chen"]})
    both = ["lifecycle.repeat_active", "rfm.important_value"]
    assert column(answer, "tags") == ([both, both[:1], []], ["PRESENT"] * 3)
    assert column(answer, "tag_set_hash") == (
        ["a1", None, "c1"],
        ["PRESENT", "NOT_FOUND", "PRESENT"],
    )


def test_values_too_old_are_outside_max_age_unless_the_service_takes_them(
    client: LocalClient,
) -> None:
    now = iso(sample.AS_OF + 3 * sample.DAY)
    entities = {"member_id": ["anna"]}
    by_name = ask(client, features=["member_orders_v1:order_count_90d"], entities=entities, now=now)
    assert column(by_name, "order_count_90d") == ([None], ["OUTSIDE_MAX_AGE"])
    lenient = ask(client, feature_service="lenient_v1", entities=entities, now=now)
    assert column(lenient, "order_count_90d") == ([3], ["PRESENT"])


def test_an_erased_member_is_not_found(make_client: MakeClient, brand: Brand) -> None:
    erase_online(brand, ["anna"])
    entities = {"member_id": ["anna", "bao"]}
    answer = ask(make_client(), feature_service="lenient_v1", entities=entities)
    assert column(answer, "order_count_90d") == ([None, 0], ["NOT_FOUND", "PRESENT"])


def test_feasts_own_client_gets_null_for_an_empty_list(client: LocalClient) -> None:
    """It raises TypeError on `[]`; its requests are known by a field that only it sends."""
    body = {"feature_service": "probe_v1", "entities": {"member_id": ["zero"]}}
    assert column(ask(client, **body), "texts") == ([[]], ["PRESENT"])
    stock = ask(client, **body, include_feature_view_version_metadata=False)
    assert column(stock, "texts") == ([None], ["PRESENT"])
    assert column(stock, "words") == ([""], ["PRESENT"])


def test_features_of_one_name_need_their_full_names(make_client: MakeClient, brand: Brand) -> None:
    survey = sample.view("member_survey_v1", {"reasons": "varchar[]"})
    views = (*sample.VIEWS, survey)
    sample.catalog(views=views).save(brand.catalog)
    client = make_client()
    features = ["member_risk_v1:reasons", "member_survey_v1:reasons"]
    body = {"features": features, "entities": {"member_id": ["anna"]}}
    refused = client.post("/get-online-features", json=body)
    assert refused.status_code == 400
    assert refused.json()["error"]["code"] == "feature_name_collision"
    answer = ask(client, **body, full_feature_names=True)
    assert column(answer, "member_risk_v1__reasons") == ([["gap_long"]], ["PRESENT"])
    assert column(answer, "member_survey_v1__reasons") == ([None], ["NOT_FOUND"])
