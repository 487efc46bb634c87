"""The model as a whole: what it learns from, what it says, its versions and the way back."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from pipelines.core.churn import registry
from pipelines.core.churn.backtest import Verdict
from pipelines.core.churn.extras import AT, INSTANT, KEY, Extras, Known, seen_at
from pipelines.core.churn.history import History
from pipelines.core.churn.learn import Settings, learn
from pipelines.core.churn.model import ChurnModel
from pipelines.core.churn.numbers import auc, log_losses
from pipelines.core.churn.reasons import Reason
from pipelines.core.churn.registry import ModelError
from pipelines.core.churn.score import score, silent_by_table
from pipelines.core.churn.train import LABEL, retrain, training_entities
from pipelines.core.clock import as_of_for
from pipelines.core.errors import UsageError
from pipelines.core.files import sha256
from tests.churn_sample import START, day_of, drawn, history_of, purchase_days

TZ = "Asia/Shanghai"
TODAY = START + 400
AS_OF = as_of_for(day_of(TODAY), TZ)
SETTINGS = Settings(threads=1)


@pytest.fixture(scope="module")
def history() -> History:
    return drawn(1500, 500)


@pytest.fixture(scope="module")
def model(history: History) -> ChurnModel:
    learnt = learn(history, TODAY, settings=SETTINGS)
    assert learnt is not None
    return learnt


@pytest.fixture(scope="module")
def scores(history: History, model: ChurnModel) -> pa.Table:
    return score(purchase_days(history), AS_OF, TZ, model=model, version="v")


def test_only_cutoffs_whose_90_days_are_over_teach(model: ChurnModel) -> None:
    assert model.cutoffs[0] == TODAY - 90
    assert set(np.diff(model.cutoffs)) == {-30}
    assert model.cutoffs[-1] >= model.start + 15


def test_what_comes_after_today_teaches_nothing(history: History, model: ChurnModel) -> None:
    again = learn(history.until(TODAY), TODAY, settings=SETTINGS)
    assert again is not None
    assert again.ranker.with_trees.text == model.ranker.with_trees.text
    assert again.ranker.trees_alone.text == model.ranker.trees_alone.text
    assert again.ranker.btyd == model.ranker.btyd
    assert again.observed == model.observed


def test_it_ranks_well_and_loses_less_than_the_hazard_table(
    history: History, model: ChurnModel
) -> None:
    known = history.until(TODAY)
    silent = history.at(TODAY).silent_for(90)
    said, table = model.silent(known, TODAY), silent_by_table(known, TODAY)
    assert auc(silent, said) > auc(silent, table) > 0.75
    assert log_losses(silent, said).mean() < log_losses(silent, table).mean()


def test_every_buyer_gets_numbers_that_fit_together(scores: pa.Table) -> None:
    assert set(scores["basis"].to_pylist()) == {"model"}
    churn, buys = scores["p_churn_90d"].to_numpy(), scores["p_buy_30d"].to_numpy()
    assert ((churn > 0) & (churn < 1) & (buys > 0) & (buys <= 1 - churn)).all()
    assert pc.min(scores["predicted_net_365d_minor"]).as_py() >= 0
    ordered = pc.less_equal(scores["expected_next_order_lo"], scores["expected_next_order_hi"])
    assert pc.all(ordered).as_py()


def test_a_second_purchase_is_foretold_of_one_time_buyers_only(
    history: History, scores: pa.Table
) -> None:
    once = history.until(TODAY).at(TODAY).n == 1
    assert scores["p_second_purchase_60d"].is_valid().to_pylist() == once.tolist()


def test_reasons_are_at_most_three_in_two_languages(scores: pa.Table) -> None:
    for texts in scores["reasons"].to_pylist()[:200]:
        reasons = [Reason.parse(text) for text in texts]
        assert len(reasons) <= 3
        assert all(r.english and r.chinese and "{" not in r.english + r.chinese for r in reasons)


def test_the_file_of_a_version_scores_as_the_model_did(
    tmp_path: Path, history: History, model: ChurnModel, scores: pa.Table
) -> None:
    version = registry.save(model, {}, tmp_path)
    loaded = registry.load(tmp_path, version, threads=1)
    assert score(purchase_days(history), AS_OF, TZ, model=loaded, version="v").equals(scores)


def test_the_same_model_is_the_same_version_and_versions_are_taken_back(
    tmp_path: Path, history: History, model: ChurnModel
) -> None:
    first = registry.save(model, {"trained_on": "then"}, tmp_path)
    assert registry.save(model, {"trained_on": "again"}, tmp_path) == first
    assert registry.card_of(tmp_path, first)["trained_on"] == "then"
    earlier = learn(history.until(TODAY - 60), TODAY - 60, settings=SETTINGS)
    assert earlier is not None
    second = registry.save(earlier, {}, tmp_path)
    assert registry.versions(tmp_path) == sorted([second, first])
    assert registry.served(tmp_path) is None
    registry.use(tmp_path, first)
    registry.use(tmp_path, second)
    assert registry.served(tmp_path) == second


@pytest.mark.parametrize("name", [registry.MODEL, registry.WITH_TREES, registry.CARD])
def test_a_file_that_was_changed_is_not_loaded(
    tmp_path: Path, model: ChurnModel, name: str
) -> None:
    version = registry.save(model, {}, tmp_path)
    (tmp_path / version / name).write_text("{}", encoding="utf-8")
    with pytest.raises(ModelError, match=name) as caught:
        registry.use(tmp_path, version)
    assert "huitou model use" in caught.value.remedy
    assert registry.served(tmp_path) is None


def test_a_manifest_made_to_fit_a_changed_file_does_not_help(
    tmp_path: Path, model: ChurnModel
) -> None:
    version = registry.save(model, {}, tmp_path)
    folder = tmp_path / version
    told, parts = (json.loads((folder / f).read_text()) for f in ("manifest.json", "model.json"))
    (folder / "model.json").write_text(json.dumps({**parts, "rows": 1}), encoding="utf-8")
    del told["files"]["model.json"]
    (folder / "manifest.json").write_text(json.dumps(told), encoding="utf-8")
    with pytest.raises(ModelError, match=r"model\.json"):
        registry.load(tmp_path, version)
    told["files"]["model.json"] = sha256(folder / "model.json")
    (folder / "manifest.json").write_text(json.dumps(told), encoding="utf-8")
    with pytest.raises(ModelError, match="its name"):
        registry.load(tmp_path, version)


def test_a_served_version_that_cannot_be_read_does_not_stop_its_successor(
    tmp_path: Path, history: History, model: ChurnModel
) -> None:
    version = registry.save(model, {}, tmp_path)
    registry.use(tmp_path, version)
    path = tmp_path / version / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 99}), encoding="utf-8")
    earlier = AS_OF - timedelta(days=10)
    made = retrain(purchase_days(history), earlier, TZ, tmp_path, settings=SETTINGS)
    assert "not tried against what was served" in made.verdict.why
    assert registry.served(tmp_path) == made.version


def test_a_version_that_nobody_made_is_refused(tmp_path: Path, model: ChurnModel) -> None:
    version = registry.save(model, {}, tmp_path)
    with pytest.raises(UsageError) as caught:
        registry.use(tmp_path, "../elsewhere")
    assert version in caught.value.remedy


def test_a_retraining_that_holds_up_serves_and_its_card_says_what_it_rests_on(
    tmp_path: Path, history: History
) -> None:
    made = retrain(purchase_days(history), AS_OF, TZ, tmp_path, settings=SETTINGS)
    assert made.verdict.promoted, made.verdict.why
    assert registry.served(tmp_path) == made.version
    card = registry.card_of(tmp_path, str(made.version))
    assert card["trained_on"] == day_of(TODAY).isoformat()
    assert card["cutoffs"][0] == day_of(TODAY - 90).isoformat()
    assert set(card["backtest"]["metrics"]) == {"all", "one_time", "repeat"}
    assert card["verdict"]["why"] == made.verdict.why
    again = retrain(purchase_days(history), AS_OF, TZ, tmp_path, settings=SETTINGS)
    assert again.version == made.version
    assert "too young to be tried" in again.verdict.why
    assert json.loads(json.dumps(again.card)) == again.card


@pytest.mark.parametrize(
    "customers",
    [
        {"only": [1, 100, 200]},
        {f"c{i}": [399 - i % 90] for i in range(300)},
        {f"c{i}": [i % 5] for i in range(150)},
    ],
    ids=["one buyer", "too young", "too few"],
)
def test_too_little_to_learn_from_makes_no_version_and_says_so(
    tmp_path: Path, customers: dict[str, list[int]]
) -> None:
    table = purchase_days(history_of(customers))
    made = retrain(table, AS_OF, TZ, tmp_path, settings=SETTINGS)
    assert made.version is None
    assert made.verdict == Verdict(False, "too few buyers or days of history to learn from")
    assert registry.versions(tmp_path) == []


@pytest.mark.parametrize(
    "customers",
    [
        {f"c{i}": [i % 2] for i in range(300)},
        {f"c{i}": [i % 380] for i in range(300)},
        {f"c{i}": [0, 1, 2, i % 30] for i in range(300)},
        {f"c{i}": list(range(i % 7, 400, 7)) for i in range(300)},
        {f"c{i}": [10, 20, 350 + i % 50] for i in range(300)},
    ],
    ids=["two days only", "no repeat buyer", "a year of silence", "like clockwork", "a long gap"],
)
def test_odd_histories_are_learnt_from_without_an_exception(
    tmp_path: Path, customers: dict[str, list[int]]
) -> None:
    table = purchase_days(history_of(customers))
    made = retrain(table, AS_OF, TZ, tmp_path, settings=SETTINGS)
    model = registry.load(tmp_path, made.version, threads=1) if made.version else None
    json.dumps(made.card, allow_nan=False)
    churn = score(table, AS_OF, TZ, model=model, version=made.version or "table")["p_churn_90d"]
    assert ((churn.to_numpy() > 0) & (churn.to_numpy() < 1)).all()


def test_entities_are_every_buyer_at_every_cutoff_with_what_came() -> None:
    """At the cut-off 90 days before, `a` and `b` have bought, and `a` comes back in time."""
    table = purchase_days(history_of({"a": [290, 330], "b": [291], "new": [390]}))
    rows = training_entities(table, AS_OF, TZ, SETTINGS).to_pylist()
    at = {cutoff: seen_at(cutoff, TZ) for cutoff in (TODAY, TODAY - 90)}
    assert [(r[KEY], r[AT], r[LABEL]) for r in rows if r[AT] in at.values()] == [
        *((name, at[TODAY], None) for name in ("a", "b", "new")),
        ("a", at[TODAY - 90], False),
        ("b", at[TODAY - 90], True),
    ]
    assert seen_at(TODAY, TZ) == AS_OF - timedelta(microseconds=1)


def told(history: History, cutoffs: list[int], liar: bool = False) -> Extras:
    """A log that knew, at each cut-off, who would stay silent; or says so of the wrong ones."""
    parts = []
    for cutoff in cutoffs:
        snapshot = history.at(cutoff)
        columns = {
            KEY: history.ids.take(pa.array(snapshot.row)),
            AT: pa.repeat(pa.scalar(seen_at(cutoff, TZ), INSTANT), len(snapshot.row)),
            "hint": pa.array((snapshot.silent_for(90) != liar).astype(float)),
        }
        parts.append(pa.table(columns))
    return Extras(pa.concat_tables(parts), TZ)


def test_what_the_log_knew_is_learnt_and_read_again_when_scoring(history: History) -> None:
    cutoffs = [TODAY - 90 - 30 * k for k in range(8)]
    learnt = learn(history, TODAY, told(history, [TODAY, *cutoffs]), SETTINGS)
    assert learnt is not None
    assert learnt.ranker.encoder.names == ("log_hint",)
    silent = history.at(TODAY).silent_for(90)
    days = purchase_days(history.until(TODAY))

    def scored(known: Known | None) -> float:
        table = score(days, AS_OF, TZ, model=learnt, version="v", known=known)
        return auc(silent, table["p_churn_90d"].to_numpy())

    hints = told(history, [TODAY])
    assert scored(lambda _: hints.at(TODAY)) > 0.99
    assert scored(lambda _: told(history, [TODAY], liar=True).at(TODAY)) < 0.9
    assert 0.7 < scored(None) < 0.99


def test_members_of_a_part_are_scored_as_in_the_whole(
    monkeypatch: pytest.MonkeyPatch, history: History, model: ChurnModel, scores: pa.Table
) -> None:
    monkeypatch.setattr("pipelines.core.churn.score.BATCH", 100)
    assert score(purchase_days(history), AS_OF, TZ, model=model, version="v").equals(scores)


def test_a_purchase_dated_in_the_future_changes_no_score(
    history: History, model: ChurnModel, scores: pa.Table
) -> None:
    future = {"member_id": ["zz"], "purchase_date": [day_of(TODAY + 900)], "net_minor": [5]}
    table = purchase_days(history)
    both = pa.concat_tables([table, pa.table(future).cast(table.schema)])
    assert score(both, AS_OF, TZ, model=model, version="v").equals(scores)


def test_scores_are_of_the_instant_they_are_asked_for(scores: pa.Table) -> None:
    assert set(scores["scored_at"].to_pylist()) == {AS_OF}
