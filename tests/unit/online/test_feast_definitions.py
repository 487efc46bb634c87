"""The generated part of the feature repository, and what Feast is told about a brand."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
import yaml

from pipelines.core.catalog import Catalog, Feature, FeatureView, Service
from pipelines.core.errors import UsageError
from pipelines.core.home import DBT_PROJECT, FEATURE_REPO, Brand
from pipelines.online.feast_definitions import generated, services_text, views_text
from pipelines.online.feast_repo import environment

VIEW = FeatureView(
    name="member_tags_v1",
    description='What is "true" of a member.',
    entity="member",
    join_keys=("member_id",),
    features=(
        Feature("tags", "varchar[]", "Tags: 標籤."),
        Feature("orders", "bigint", "Count.", "orders"),
    ),
    max_age_s=3600,
    slo_s=1800,
    owner="data",
    domain="tags",
    pii="none",
    purpose="profiling",
)


def service(name: str, *features: str) -> Service:
    chosen = tuple((VIEW.name, feature) for feature in features)
    return Service(name, "For the sidebar.", "outreach", chosen, serve_stale=True, online=False)


CATALOG = Catalog(
    {VIEW.name: VIEW},
    {"all_v1": service("all_v1", "tags", "orders"), "some_v1": service("some_v1", "orders")},
)


def test_the_committed_definitions_are_the_generated_ones() -> None:
    """They say what dbt's YAML says; `make generate` makes them."""
    for path, text in generated(Catalog.from_dbt(DBT_PROJECT)).items():
        assert path.read_text(encoding="utf-8") == text, f"{path.name}: run `make generate`"


def test_a_view_is_written_with_all_that_its_model_says() -> None:
    assert (
        views_text(CATALOG).split("\n", 2)[2]
        == """\
from entities import member
from feast import FeatureView, Field
from feast.types import Array, Int64, String
from sources import HOLDS_UNTIL_THE_NEXT, log_of

member_tags_v1 = FeatureView(
    name="member_tags_v1",
    description="What is \\"true\\" of a member.",
    entities=[member],
    schema=[
        Field(name="member_id", dtype=String, description="Key of the member."),
        Field(name="tags", dtype=Array(String), description="Tags: 標籤."),
        Field(name="orders", dtype=Int64, description="Count.", tags={"unit": "orders"}),
    ],
    source=log_of("member_tags_v1"),
    ttl=HOLDS_UNTIL_THE_NEXT,
    online=True,
    owner="data",
    tags={"dbt_model": "member_tags_v1", "domain": "tags", "max_age_s": "3600", "pii": "none", \
"purpose": "profiling", "slo_s": "1800"},
)
"""
    )


def test_a_service_names_its_features_unless_it_takes_all() -> None:
    text = services_text(CATALOG)
    assert "from views import member_tags_v1\n" in text
    assert "features=[\n        member_tags_v1,\n    ]" in text
    assert 'features=[\n        member_tags_v1[["orders"]],\n    ]' in text
    assert text.count('tags={"online": "false", "serve_stale": "true"}') == 2


def test_an_empty_catalogue_gives_files_that_import_nothing() -> None:
    texts = generated(Catalog({}, {})).values()
    assert [len(ast.parse(text).body) for text in texts] == [1, 1]


def test_the_feature_repository_imports_feast_and_its_siblings_by_bare_name() -> None:
    """`from feature_repo.entities import …` would register an entity twice."""
    allowed = {"feast", "os", "datetime"} | {path.stem for path in FEATURE_REPO.glob("*.py")}
    for path in FEATURE_REPO.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            assert {name.split(".")[0] for name in names} <= allowed, path.name


def test_both_configurations_differ_in_the_online_store_only() -> None:
    files = ("feature_store.yaml", "feature_store.redis.yaml")
    one, other = (yaml.safe_load((FEATURE_REPO / name).read_text("utf-8")) for name in files)
    assert one.pop("online_store") != other.pop("online_store")
    assert one == other


@pytest.mark.parametrize(
    ("url", "connection", "kind"),
    [
        ("redis://10.0.0.7/2", "10.0.0.7:6379,db=2", "redis"),
        (
            "rediss://app:p%40ss@cache:6380/0",
            'cache:6380,db=0,username=app,password="p@ss",ssl=true',
            "redis",
        ),
        ("redis+cluster://node:7000", "node:7000", "redis_cluster"),
    ],
    ids=["plain", "with password and tls", "cluster"],
)
def test_feast_gets_redis_in_its_own_words(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, url: str, connection: str, kind: str
) -> None:
    monkeypatch.setenv("HUITOU_ONLINE_STORE", "redis")
    monkeypatch.setenv("REDIS_URL", url)
    assert environment(Brand(tmp_path / "demo")) == {
        "HUITOU_ROOT": str(tmp_path / "demo"),
        "HUITOU_PROJECT": "huitou_demo",
        "HUITOU_REDIS": connection,
        "HUITOU_REDIS_TYPE": kind,
    }


def test_without_redis_feast_is_told_of_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("HUITOU_ONLINE_STORE", raising=False)
    assert sorted(environment(Brand(tmp_path / "demo"))) == ["HUITOU_PROJECT", "HUITOU_ROOT"]


@pytest.mark.parametrize(
    ("kind", "url", "words"),
    [("redis", "unix:///run/redis.sock", "over TCP only"), ("mysql", "", "names no online store")],
)
def test_a_store_that_feast_cannot_reach_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: str, url: str, words: str
) -> None:
    monkeypatch.setenv("HUITOU_ONLINE_STORE", kind)
    monkeypatch.setenv("REDIS_URL", url)
    with pytest.raises(UsageError, match=words):
        environment(Brand(tmp_path / "demo"))
