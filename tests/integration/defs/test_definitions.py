"""The code location as a Dagster server loads it: what is there, and what hangs on what."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import dagster as dg
import pytest

from pipelines.core.contracts import TABLES
from pipelines.core.home import REPOSITORY, Home

pytestmark = pytest.mark.integration

VIEWS = [
    "member_contact_v1",
    "member_coupons_v1",
    "member_orders_v1",
    "member_risk_v1",
    "member_survey_v1",
    "member_tags_v1",
]


@pytest.fixture(scope="module")
def definitions(tmp_path_factory: pytest.TempPathFactory) -> dg.Definitions:
    """Loaded with an empty home, as on a machine where nothing has been run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HUITOU_HOME", str(tmp_path_factory.mktemp("home")))
        patch.delenv("HUITOU_BRAND", raising=False)
        from pipelines.definitions import defs

        loaded = defs()
        assert isinstance(loaded, dg.Definitions)
        return loaded


def keys(definitions: dg.Definitions, group: str) -> set[str]:
    graph = definitions.resolve_asset_graph()
    return {
        key.to_user_string()
        for key in graph.materializable_asset_keys
        if graph.get(key).group_name == group
    }


def test_the_code_location_loads_with_the_expected_jobs_and_schedules(
    definitions: dg.Definitions,
) -> None:
    repository = definitions.get_repository_def()
    assert {"ingest", "nightly", "restate", "retrain"} <= set(repository.job_names)
    assert [schedule.name for schedule in repository.schedule_defs] == ["nightly", "retrain"]
    assert [sensor.name for sensor in repository.sensor_defs if sensor.name == "late_files"]


@pytest.mark.parametrize("zone", ["UTC", "Asia/Shanghai", "America/New_York"])
@pytest.mark.parametrize(("name", "hour", "minute"), [("nightly", 2, 30), ("retrain", 5, 0)])
def test_schedules_ask_for_the_day_that_ended_at_midnight(
    definitions: dg.Definitions, name: str, hour: int, minute: int, zone: str
) -> None:
    """Due in the early morning in Shanghai, in whatever zone the daemon tells the time."""
    due = datetime(2025, 4, 1, hour, minute, tzinfo=ZoneInfo("Asia/Shanghai"))
    schedule, repository = (
        definitions.resolve_schedule_def(name),
        definitions.get_repository_def(),
    )
    assert schedule.execution_timezone == "Asia/Shanghai"
    with dg.build_schedule_context(
        scheduled_execution_time=due.astimezone(ZoneInfo(zone)), repository_def=repository
    ) as context:
        (request,) = schedule.evaluate_tick(context).run_requests
    assert request.partition_key == "2025-03-31"


def test_every_source_table_is_an_asset_with_a_blocking_count_check(
    definitions: dg.Definitions,
) -> None:
    graph = definitions.resolve_asset_graph()
    assert keys(definitions, "ingest") == {f"raw/{table}" for table in TABLES}
    for table in TABLES:
        check = dg.AssetCheckKey(dg.AssetKey(["raw", table]), "every_row_is_accounted_for")
        assert graph.get_check_spec(check).blocking


def test_every_feature_view_goes_from_dbt_to_the_log_to_the_store(
    definitions: dg.Definitions,
) -> None:
    graph = definitions.resolve_asset_graph()
    for view in VIEWS:
        feature, log, online = (
            dg.AssetKey([layer, view]) for layer in ("features", "log", "online")
        )
        assert graph.get(log).parent_keys == {feature}
        assert graph.get(online).parent_keys == {log}


def test_scores_stand_between_the_marts_and_the_features(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    scores = graph.get(dg.AssetKey(["scores", "member_risk"]))
    assert scores.parent_keys == {
        dg.AssetKey(["marts", name]) for name in ("mart_purchase_days", "mart_member_contact")
    }
    assert dg.AssetKey(["features", "member_risk_v1"]) in graph.get_all_asset_keys()


def test_the_night_scores_with_the_model_it_has_and_only_retraining_makes_another(
    definitions: dg.Definitions,
) -> None:
    model = dg.AssetKey(["models", "churn"])
    jobs = {name: definitions.resolve_job_def(name) for name in ("nightly", "retrain")}
    assert model not in jobs["nightly"].asset_layer.selected_asset_keys
    assert jobs["retrain"].asset_layer.selected_asset_keys == {model}


def test_every_asset_is_cut_by_day_has_an_owner_and_backfills_in_one_run(
    definitions: dg.Definitions,
) -> None:
    graph = definitions.resolve_asset_graph()
    for key in graph.materializable_asset_keys:
        node = graph.get(key)
        assert node.partitions_def is not None, key
        assert node.owners, key
        assert node.backfill_policy == dg.BackfillPolicy.single_run(), key


def test_the_workspace_names_the_code_location() -> None:
    assert "pipelines.definitions" in Path(REPOSITORY / "workspace.yaml").read_text("utf-8")


def test_late_files_are_asked_for_once_and_again_when_one_is_corrected(
    definitions: dg.Definitions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dagster starts no second run of a key: a correction of the same day needs another."""
    landing, home = tmp_path / "landing", Home(tmp_path / "home")
    file = landing / "2025-03-01" / "orders.csv.gz"
    file.parent.mkdir(parents=True)
    home.brand("tested").agree("shop", landing, "Asia/Shanghai", "CNY")
    monkeypatch.setenv("HUITOU_HOME", str(home.root))
    monkeypatch.setenv("HUITOU_BRAND", "tested")
    sensor = definitions.resolve_sensor_def("late_files")

    def asked() -> str:
        (request,) = sensor.evaluate_tick(dg.build_sensor_context()).run_requests
        assert {
            request.tags[f"dagster/asset_partition_range_{end}"] for end in ("start", "end")
        } == {"2025-03-01"}
        return str(request.run_key)

    file.write_bytes(b"as it came first")
    first = asked()
    assert asked() == first
    file.write_bytes(b"as it was corrected")
    assert asked() != first
