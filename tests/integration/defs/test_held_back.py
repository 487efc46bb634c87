"""The way out of the warehouse on nights when one view's checks failed, or the store is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest

from pipelines.core.catalog import FeatureView
from pipelines.core.clock import as_of_for, iso
from pipelines.core.feature_log import FeatureLog
from pipelines.core.files import write_json
from pipelines.core.home import Brand
from pipelines.core.log_sql import row
from pipelines.online.decoder import decode
from pipelines.online.encoder import encode
from pipelines.online.layout import entity_key
from pipelines.online.stores import OnlineStore, open_store

pytestmark = pytest.mark.integration

BAD, GOOD = "member_coupons_v1", "member_orders_v1"
FIRST = datetime(2025, 3, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def defs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The modules of the code location, loaded as where nothing has been run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HUITOU_HOME", str(tmp_path_factory.mktemp("home")))
        for name in ("HUITOU_BRAND", "HUITOU_ONLINE_STORE"):
            patch.delenv(name, raising=False)
        from pipelines.defs import run
        from pipelines.defs.features import assets, checks
        from pipelines.defs.transform import assets as transform

        class Defs:
            pass

        found = Defs()
        found.run, found.assets = run, assets  # type: ignore[attr-defined]
        found.checks, found.transform = checks, transform  # type: ignore[attr-defined]
        yield found


class Nights:
    """A brand's nights, from the feature models on, in one Dagster instance."""

    def __init__(self, defs: Any, brand: Brand, instance: dg.DagsterInstance) -> None:
        self.defs, self.brand, self.instance = defs, brand, instance

    def judge(self, view: str, *, passed: bool) -> None:
        """Report a check of the view's model, as the dbt build does."""
        keys = self.defs.transform.features.check_keys
        check = min(key for key in keys if key.asset_key.path == ["features", view])
        self.instance.report_runless_asset_event(
            dg.AssetCheckEvaluation(
                asset_key=check.asset_key, check_name=check.name, passed=passed, metadata={}
            )
        )

    def run(self, number: int, orders: int) -> dg.ExecuteInProcessResult:
        """The log and the store after a build in which everything says `orders`."""
        day = (FIRST + timedelta(days=number)).date()
        as_of = as_of_for(day, "Asia/Shanghai")
        build(self.brand, self.defs.assets.CATALOG, as_of, orders)
        made = self.defs.assets
        return dg.materialize(
            [made.feature_log, made.online_store, self.defs.checks.online_parity],
            instance=self.instance,
            partition_key=day.isoformat(),
            tags={self.defs.run.KNOWN_AT_TAG: iso(as_of + timedelta(hours=2))},
            resources={"huitou": self.defs.run.BrandResource(root=str(self.brand.root))},
            raise_on_error=False,
        )


@pytest.fixture
def nights(defs: Any, tmp_path: Path) -> Iterator[Nights]:
    brand = Brand(tmp_path / "shop")
    brand.root.mkdir()
    with dg.DagsterInstance.ephemeral() as instance:
        yield Nights(defs, brand, instance)


def build(brand: Brand, catalog: Any, as_of: datetime, number: int) -> None:
    """A warehouse whose feature models hold one member each, every whole number being `number`."""
    brand.warehouse.unlink(missing_ok=True)
    with duckdb.connect(str(brand.warehouse)) as db:
        db.execute("CREATE SCHEMA features")
        for view in catalog.views.values():
            db.execute(f"CREATE TABLE features.{view.name} AS {one_row(view, 'a', as_of, number)}")


def one_row(view: FeatureView, member: str, as_of: datetime, number: int) -> str:
    values = dict.fromkeys(view.join_keys, f"'{member}'")
    clocks = {"event_timestamp": as_of, "created_timestamp": as_of + timedelta(hours=2)}
    values |= {name: f"TIMESTAMPTZ '{iso(at)}'" for name, at in clocks.items()}
    columns = [
        f"({values.get(name, str(number) if kind == 'BIGINT' else 'NULL')})::{kind} {name}"
        for name, kind in row(view).items()
    ]
    return f"SELECT {', '.join(columns)}"


def served(store: OnlineStore, view: str, feature: str) -> Any:
    plan = store.plan(["member_id"], [(view, feature)])
    raw = store.read([(plan, [entity_key(["member_id"], ["a"])])]).rows[0][0].values[0]
    return decode(raw or b"")


def both(brand: Brand) -> tuple[Any, Any]:
    """What is served of the bad view and of the good one."""
    store = open_store(brand)
    return (
        served(store, BAD, "open_retention_count"),
        served(store, GOOD, "order_count_lifetime"),
    )


def test_a_view_whose_checks_failed_holds_back_only_itself_and_is_caught_up_with(
    nights: Nights,
) -> None:
    assert nights.run(0, 1).success
    assert both(nights.brand) == (1, 1)

    nights.judge(BAD, passed=False)
    result = nights.run(1, 2)

    assert not result.success
    (failed,) = [event for event in result.all_events if event.is_step_failure]
    assert failed.step_key == "online_store"
    assert f"{BAD} (its checks failed" in str(failed.step_failure_data.error)
    assert both(nights.brand) == (1, 2)
    log = FeatureLog(nights.brand.log)
    before, after = log.latest(BAD), log.latest(GOOD)
    assert before is not None
    assert after is not None
    assert before < after

    nights.judge(BAD, passed=True)
    assert nights.run(2, 3).success
    assert both(nights.brand) == (3, 3)


def test_each_night_compares_the_store_with_the_log_and_deletes_orphans(nights: Nights) -> None:
    assert nights.run(0, 1).success
    store = open_store(nights.brand)
    view = nights.defs.assets.CATALOG.views[GOOD]
    stray = duckdb.sql(one_row(view, "stray", FIRST - timedelta(days=9), 1)).to_arrow_table()
    store.write(view, encode(view, stray.to_batches()[0]), guard=False)
    assert len(next(store.keys(view))) == 2

    result = nights.run(1, 2)

    assert result.success  # an orphan is a warning: it is gone
    found = {e.asset_key.path[-1]: e for e in result.get_asset_check_evaluations()}
    assert {name for name, one in found.items() if not one.passed} == {GOOD}
    assert found[GOOD].metadata["orphans deleted"].value == 1
    assert len(next(store.keys(view))) == 1


@pytest.mark.parametrize(
    ("results", "failed"),
    [
        ([], set()),
        ([("model.a", "success"), ("test.b", "warn"), ("exposure.c", "no-op")], set()),
        ([("test.b", "fail"), ("exposure.c", "skipped")], {"test.b"}),
        ([("model.a", "error"), ("model.d", "skipped")], {"model.a", "model.d"}),
    ],
)
def test_what_failed_in_dbt_is_told_from_what_is_never_built(
    defs: Any, tmp_path: Path, results: list[tuple[str, str]], failed: set[str]
) -> None:
    path = tmp_path / "run_results.json"
    assert defs.transform._failed(path)  # dbt did not come so far: nobody excuses that
    write_json(path, {"results": [{"unique_id": name, "status": s} for name, s in results]})
    assert defs.transform._failed(path) == failed
