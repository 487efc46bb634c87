"""A night's scores as Dagster makes them: from the warehouse, beside what the log remembers."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pyarrow.parquet as pq
import pytest

from pipelines.core.churn import registry
from pipelines.core.churn.history import History
from pipelines.core.churn.learn import Settings, learn
from pipelines.core.clock import as_of_for, iso
from pipelines.core.feature_log import FeatureLog, Watermark
from pipelines.core.home import Brand
from pipelines.core.log_sql import row
from tests.churn_sample import START, day_of, drawn, purchase_days

pytestmark = pytest.mark.integration

ZONE = "Asia/Shanghai"
TODAY = START + 400


@pytest.fixture(scope="module")
def defs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The module of the asset, loaded as where nothing has been run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HUITOU_HOME", str(tmp_path_factory.mktemp("home")))
        patch.delenv("HUITOU_BRAND", raising=False)
        from pipelines.defs.churn import assets

        yield assets


@pytest.fixture
def history() -> History:
    return drawn(600, 450)


@pytest.fixture
def brand(tmp_path: Path, history: History) -> Brand:
    """A brand whose members agreed to profiling but one."""
    found = Brand(tmp_path / "shop")
    found.root.mkdir()
    found.agree("shop", tmp_path, ZONE, "CNY")
    days = purchase_days(history)
    with duckdb.connect(str(found.warehouse)) as warehouse:
        warehouse.register("days", days)
        warehouse.execute("create schema marts")
        ran_at = iso(as_of_for(day_of(TODAY), ZONE))
        warehouse.execute(
            f"create table marts.mart_purchase_days as select *, timestamptz '{ran_at}' as as_of "
            "from days"
        )
        warehouse.execute(
            "create table marts.mart_member_contact as select distinct member_id, "
            "member_id <> 'c000001' as consent_profiling from days"
        )
    return found


def remember(brand: Brand, view: Any, days_ago: int, said: str) -> None:
    """Scores that the log took so many days ago, of every member."""
    as_of = as_of_for(day_of(TODAY - days_ago), ZONE)
    known = dict.fromkeys(
        ("scored_at", "event_timestamp", "created_timestamp"), f"timestamptz '{iso(as_of)}'"
    )
    known |= {"member_id": "member_id", "p_churn_90d": said}
    columns = [f"({known.get(name, 'null')})::{kind} as {name}" for name, kind in row(view).items()]
    query = f"select {', '.join(columns)} from marts.mart_member_contact"
    with duckdb.connect(str(brand.warehouse), read_only=True) as warehouse:
        rows = warehouse.sql(query).to_arrow_table()
    log, mark = FeatureLog(brand.log), Watermark.of(as_of, as_of)
    log.commit(mark, "test", {view.name: log.append(view, rows, mark)})


def scored(defs: Any, brand: Brand) -> dict[str, dg.AssetCheckEvaluation]:
    """The checks of the night of `TODAY`, by name."""
    from pipelines.defs.run import KNOWN_AT_TAG, BrandResource

    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize(
            [defs.member_risk],
            instance=instance,
            partition_key=day_of(TODAY).isoformat(),
            tags={KNOWN_AT_TAG: iso(as_of_for(day_of(TODAY), ZONE) + timedelta(hours=2))},
            resources={"huitou": BrandResource(root=str(brand.root))},
        )
    return {one.check_name: one for one in result.get_asset_check_evaluations()}


def test_a_brand_of_one_night_has_scores_and_nothing_to_compare_them_with(
    defs: Any, brand: Brand, history: History
) -> None:
    checks = scored(defs, brand)
    scores = pq.read_table(brand.scores / "member_risk.parquet")
    assert scores.num_rows == len(history.until(TODAY))
    basis = dict(zip(scores["member_id"].to_pylist(), scores["basis"].to_pylist(), strict=True))
    assert {basis.pop("c000001")} == {"consent_withheld"}
    assert set(basis.values()) == {"heuristic"}
    assert all(one.passed and "note" in one.metadata for one in checks.values())
    assert [path.name for path in brand.scores.iterdir()] == ["member_risk.parquet"]


def test_a_nights_scores_are_held_against_a_month_ago_and_old_ones_against_what_came(
    defs: Any, brand: Brand, history: History
) -> None:
    """A hundred days ago everybody was given what came on the mean, lately almost nothing."""
    from pipelines.defs.churn.drift import CALIBRATED, STABLE, VIEW

    snapshot = history.at(TODAY - 100)
    came = float(snapshot.silent_for(90).mean())
    remember(brand, VIEW, 100, str(came))
    remember(brand, VIEW, 40, "0.01 + hash(member_id) % 10 / 1000")
    checks = scored(defs, brand)
    numbers = {name: {k: v.value for k, v in one.metadata.items()} for name, one in checks.items()}
    assert numbers[CALIBRATED]["customers"] == len(snapshot.row)
    assert numbers[CALIBRATED]["came"] == numbers[CALIBRATED]["said"] == round(came, 4)
    assert not checks[STABLE].passed
    assert numbers[STABLE]["mean_before"] == pytest.approx(0.0145, abs=0.0005)
    scores = pq.read_table(brand.scores / "member_risk.parquet")["p_churn_90d"].drop_null()
    assert numbers[STABLE]["mean_now"] == round(scores.to_numpy().mean(), 4)


def test_a_past_night_is_not_scored_by_a_model_that_knows_later_days(
    defs: Any, brand: Brand, history: History
) -> None:
    served = learn(history, TODAY + 5, settings=Settings(threads=1))
    assert served is not None
    registry.use(brand.models, registry.save(served, {}, brand.models))
    scored(defs, brand)
    scores = pq.read_table(brand.scores / "member_risk.parquet")
    assert set(scores["basis"].to_pylist()) == {"heuristic", "consent_withheld"}


def test_no_model_is_learnt_of_a_day_that_the_marts_do_not_hold(defs: Any, brand: Brand) -> None:
    """Purchases that the marts do not hold yet would be taught as silence."""
    from pipelines.core.errors import UsageError
    from pipelines.defs.run import BrandResource

    with dg.DagsterInstance.ephemeral() as instance, pytest.raises(UsageError) as caught:
        dg.materialize(
            [defs.churn_model],
            instance=instance,
            partition_key=day_of(TODAY + 1).isoformat(),
            resources={"huitou": BrandResource(root=str(brand.root))},
        )
    assert f"the marts are of {day_of(TODAY)} now" in caught.value.message
    assert f"huitou run --as-of {day_of(TODAY + 1)}" in caught.value.remedy
    assert not brand.models.exists()
