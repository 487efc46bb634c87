"""The definitions as read from dbt's YAML, and the mistakes that are named instead of served."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipelines.core.catalog import Catalog, CatalogError, Feature

Document = dict[str, Any]


def column(name: str, kind: str, words: str = "Words.", **meta: str) -> Document:
    return {
        "name": name,
        "data_type": kind,
        "description": words,
        **({"config": {"meta": meta}} if meta else {}),
    }


def model() -> Document:
    return {
        "name": "member_orders_v1",
        "description": "One row\n  a member. ",
        "config": {
            "meta": {
                "feature_view": {
                    "entity": "member",
                    "join_keys": ["member_id"],
                    "max_age_s": 172800,
                    "slo_s": 93600,
                    "owner": "data",
                    "domain": "orders",
                    "purpose": "profiling",
                }
            }
        },
        "columns": [
            column("member_id", "varchar"),
            column("order_count", "bigint", "Orders\n  so far.", unit="orders"),
            column("codes", "varchar[]"),
            column("event_timestamp", "timestamptz"),
            column("created_timestamp", "timestamptz"),
        ],
    }


def exposure(features: Document) -> Document:
    return {
        "name": "chat_sidebar_v1",
        "type": "application",
        "description": "For the sidebar.",
        "owner": {"name": "outreach"},
        "config": {"meta": {"feature_service": {"features": features, "serve_stale": True}}},
    }


def read(folder: Path, *models: Document, exposures: list[Document] | None = None) -> Catalog:
    features = folder / "models" / "features"
    features.mkdir(parents=True, exist_ok=True)
    for number, one in enumerate(models):
        text = yaml.safe_dump({"version": 2, "models": [one]})
        (features / f"{number}.yml").write_text(text, encoding="utf-8")
    text = yaml.safe_dump({"exposures": exposures or []})
    (features / "_services.yml").write_text(text, encoding="utf-8")
    return Catalog.from_dbt(folder)


def test_a_view_is_its_model(tmp_path: Path) -> None:
    view = read(tmp_path, model()).views["member_orders_v1"]
    assert view.description == "One row a member."
    assert view.features == (
        Feature("order_count", "bigint", "Orders so far.", "orders"),
        Feature("codes", "varchar[]", "Words."),
    )
    assert [feature.feast_type for feature in view.features] == ["Int64", "Array(String)"]
    assert (view.join_keys, view.max_age_s, view.slo_s) == (("member_id",), 172800, 93600)
    assert (view.purpose, view.pii) == ("profiling", "none")
    assert view.feature("codes").data_type == "varchar[]"
    with pytest.raises(KeyError):
        view.feature("member_id")


def test_models_and_exposures_of_other_kinds_are_passed_over(tmp_path: Path) -> None:
    other = {"name": "mart_members", "description": "A mart."}
    dashboard = {"name": "dashboard", "type": "dashboard"}
    catalog = read(tmp_path, model(), other, exposures=[dashboard])
    assert (list(catalog.views), catalog.services) == (["member_orders_v1"], {})


@pytest.mark.parametrize(
    ("chosen", "features"),
    [("all", ["order_count", "codes"]), (["codes"], ["codes"])],
    ids=["all", "by name"],
)
def test_a_service_picks_features(tmp_path: Path, chosen: object, features: list[str]) -> None:
    catalog = read(tmp_path, model(), exposures=[exposure({"member_orders_v1": chosen})])
    service = catalog.services["chat_sidebar_v1"]
    assert service.features == tuple(("member_orders_v1", name) for name in features)
    assert (service.serve_stale, service.online, service.owner) == (True, True, "outreach")


@pytest.mark.parametrize(
    "chosen",
    [{"member_tags_v1": "all"}, {"member_orders_v1": ["member_id"]}],
    ids=["unknown view", "unknown feature"],
)
def test_a_service_cannot_promise_what_no_view_holds(tmp_path: Path, chosen: Document) -> None:
    with pytest.raises(CatalogError, match=r"_services.yml: chat_sidebar_v1 names member_"):
        read(tmp_path, model(), exposures=[exposure(chosen)])


def at(*path: str | int) -> Callable[[Document], Any]:
    """The part of a model at that path."""

    def find(value: Any) -> Any:
        for step in path:
            value = value[step]
        return value

    return find


META, COLUMNS = at("config", "meta", "feature_view"), at("columns")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda m: META(m).pop("owner"), r"meta lacks \['owner'\]"),
        (lambda m: META(m).update(max_age="2d"), r"the unknown \['max_age'\]"),
        (lambda m: META(m).update(slo_s=0), "max_age_s and slo_s above zero"),
        (lambda m: m.update(description=""), "lacks a description"),
        (lambda m: COLUMNS(m).pop(), "has not the columns of a feature view"),
        (lambda m: COLUMNS(m).reverse(), "has not the columns of a feature view"),
        (lambda m: COLUMNS(m).__delitem__(slice(1, 3)), "has not the columns of a feature view"),
        (lambda m: COLUMNS(m)[1].update(data_type="integer"), "order_count lacks a known type"),
        (
            lambda m: COLUMNS(m)[1].update(description=" "),
            "order_count lacks a known type or words",
        ),
        (lambda m: COLUMNS(m)[2].update(name="order_count"), "names a column twice"),
        (lambda m: COLUMNS(m)[1].update(name="is_deleted"), "'is_deleted' cannot be a name"),
        (lambda m: COLUMNS(m)[1].update(name="loyalty_y"), "'loyalty_y' cannot be a name"),
        (lambda m: COLUMNS(m)[1].update(name="Order count"), "'Order count' cannot be a name"),
    ],
)
def test_a_flawed_view_is_refused_with_file_and_reason(
    tmp_path: Path, spoil: Callable[[Document], object], words: str
) -> None:
    flawed = model()
    spoil(flawed)
    with pytest.raises(CatalogError, match=words) as error:
        read(tmp_path, flawed)
    assert error.value.message.startswith("0.yml: member_orders_v1")


def test_a_name_is_defined_once(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match="member_orders_v1 is defined twice"):
        read(tmp_path, model(), model())


def test_a_saved_catalog_is_the_same_catalog(tmp_path: Path) -> None:
    catalog = read(tmp_path, model(), exposures=[exposure({"member_orders_v1": "all"})])
    catalog.save(tmp_path / "catalog.json")
    loaded = Catalog.load(tmp_path / "catalog.json")
    assert (loaded, loaded.version) == (catalog, catalog.version)


def test_the_version_tells_every_change_of_a_definition(tmp_path: Path) -> None:
    before, changed = read(tmp_path, model()), model()
    COLUMNS(changed)[1]["description"] = "Orders until now."
    after = read(tmp_path, changed)
    assert before.version != after.version
    assert read(tmp_path, model()).version == before.version
