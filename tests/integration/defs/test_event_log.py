"""The event log that keeps its connections holds what Dagster's own would, in the same files."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import dagster as dg
import pytest

from pipelines.cli.runner import DAGSTER_YAML, QUIET
from pipelines.defs.ops.event_log import OPEN, EventLog

pytestmark = pytest.mark.integration

#: Dagster's defaults: its own event log in the same place.
PLAIN = "telemetry: {enabled: false}\n"


@dg.asset(check_specs=[dg.AssetCheckSpec("adds_up", asset="sums")])
def sums() -> dg.MaterializeResult:
    return dg.MaterializeResult(
        metadata={"rows": 3}, check_results=[dg.AssetCheckResult(passed=True)]
    )


JOB = dg.Definitions(assets=[sums], jobs=[dg.define_asset_job("sum_up", [sums])]).resolve_job_def(
    "sum_up"
)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    (tmp_path / "dagster.yaml").write_text(DAGSTER_YAML)
    return tmp_path


def run(instance: dg.DagsterInstance) -> str:
    result = JOB.execute_in_process(instance=instance, run_config=QUIET)
    assert result.success
    return str(result.run_id)


def events(instance: dg.DagsterInstance, run_id: str) -> Counter[str]:
    return Counter(
        entry.dagster_event.event_type_value
        for entry in instance.all_logs(run_id)
        if entry.dagster_event
    )


def test_what_it_wrote_dagsters_own_event_log_reads(home: Path) -> None:
    with dg.DagsterInstance.get() as instance:
        assert isinstance(instance.event_log_storage, EventLog)
        run_id = run(instance)
        written = events(instance, run_id)
    (home / "dagster.yaml").write_text(PLAIN)
    with dg.DagsterInstance.get() as instance:
        assert events(instance, run_id) == written
        made = instance.get_latest_materialization_event(dg.AssetKey("sums"))
        assert made is not None
        assert made.asset_materialization is not None
        assert made.asset_materialization.metadata["rows"].value == 3
    assert written["ASSET_MATERIALIZATION"] == written["ASSET_CHECK_EVALUATION"] == 1


def test_what_dagsters_own_event_log_wrote_it_reads(home: Path) -> None:
    (home / "dagster.yaml").write_text(PLAIN)
    with dg.DagsterInstance.get() as instance:
        run_id = run(instance)
        written = events(instance, run_id)
    (home / "dagster.yaml").write_text(DAGSTER_YAML)
    with dg.DagsterInstance.get() as instance:
        assert events(instance, run_id) == written


def test_runs_beyond_the_connections_held_open_lose_nothing(home: Path) -> None:
    with dg.DagsterInstance.get() as instance:
        runs = [run(instance) for _ in range(OPEN + 2)]
        logs = [events(instance, run_id) for run_id in [*runs, *runs]]
        assert all(log == logs[0] for log in logs)
        records = instance.fetch_materializations(dg.AssetKey("sums"), limit=100).records
        assert len(records) == len(runs)
        log = instance.event_log_storage
        assert isinstance(log, EventLog)
        assert len(log._engines) == OPEN


def test_threads_of_two_servers_write_side_by_side(home: Path) -> None:
    with dg.DagsterInstance.get() as here, dg.DagsterInstance.get() as there:
        made = here.get_run_by_id(run(here))
        before = events(here, made.run_id)["ENGINE_EVENT"] if made else 0

        def note(number: int) -> None:
            (here, there)[number % 2].report_engine_event(f"note {number}", made)

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(note, range(60)))
        assert made is not None
        for instance in (here, there):
            assert events(instance, made.run_id)["ENGINE_EVENT"] == before + 60
