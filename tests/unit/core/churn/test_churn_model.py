"""The model as a whole: what it learns from, what it says, its versions and the way back."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from scipy.special import expit

from pipelines.core.churn import backtest as trials
from pipelines.core.churn import registry
from pipelines.core.churn.backtest import CANDIDATE, SERVED, TABLE, backtest
from pipelines.core.churn.card import data
from pipelines.core.churn.extras import AT, INSTANT, KEY, Extras, Known, seen_at
from pipelines.core.churn.gate import Verdict
from pipelines.core.churn.history import Floats, History, read_purchase_days
from pipelines.core.churn.learn import Settings, learn
from pipelines.core.churn.model import ChurnModel
from pipelines.core.churn.numbers import auc, log_losses, logit
from pipelines.core.churn.reasons import Reason
from pipelines.core.churn.score import score, silent_by_table
from pipelines.core.churn.train import LABEL, retrain, training_entities
from pipelines.core.clock import as_of_for
from tests.churn_sample import START, day_of, drawn, history_of, purchase_days

TZ = "Asia/Shanghai"
TODAY = START + 340
AS_OF = as_of_for(day_of(TODAY), TZ)
SETTINGS = Settings(threads=1)


@pytest.fixture(scope="module")
def history() -> History:
    return drawn(1000, 440)


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
    assert card["drift"] is None
    assert card["data"] == data(read_purchase_days(purchase_days(history), TODAY))
    again = retrain(purchase_days(history), AS_OF, TZ, tmp_path, settings=SETTINGS)
    assert again.version == made.version
    assert "nothing yet tells it from the served version" in again.verdict.why
    assert again.card["drift"]["stability_index"] == 0.0
    assert again.card["drift"]["mean_before"] == again.card["drift"]["mean_now"]
    assert json.loads(json.dumps(again.card)) == again.card


def test_the_card_counts_what_was_learnt_from_and_hashes_it_whatever_the_order() -> None:
    history = history_of({"a": [3, 1], "b": [7]}, net=500.0)
    found = data(history)
    assert (found["customers"], found["purchase_days"]) == (2, 3)
    assert (found["first"], found["last"]) == (
        day_of(START + 1).isoformat(),
        day_of(START + 7).isoformat(),
    )
    table = purchase_days(history)
    backwards = read_purchase_days(table.take(pa.array([2, 1, 0])), START + 7)
    assert data(backwards)["sha256"] == found["sha256"]
    for other in (
        history_of({"a": [3, 1], "c": [7]}, net=500.0),
        history_of({"a": [3, 2], "b": [7]}, net=500.0),
        history_of({"a": [3, 1], "b": [7]}, net=501.0),
        history_of({"a": [3], "b": [1, 7]}, net=500.0),
    ):
        assert data(other)["sha256"] != found["sha256"]


def test_a_version_served_for_a_month_is_tried_on_that_month_against_its_own_recipe(
    history: History,
) -> None:
    served = learn(history.until(TODAY - 31), TODAY - 31, settings=SETTINGS)
    until_today = history.until(TODAY)
    tried = backtest(until_today, TODAY, served, settings=SETTINGS)
    assert [(set(t.said), t.days) for t in tried] == [
        ({CANDIDATE, TABLE}, 90),
        ({CANDIDATE, TABLE}, 90),
        ({CANDIDATE, TABLE}, 90),
        ({CANDIDATE, SERVED}, 31),
    ]
    own = tried[-1]
    assert own.cutoff == TODAY - 31
    gap = history.at(TODAY - 31).gap
    np.testing.assert_array_equal(own.silent, (gap == 0) | (gap > 31))
    np.testing.assert_array_equal(own.said[CANDIDATE], own.said[SERVED])
    assert own.said[SERVED].mean() == pytest.approx(own.silent.mean(), abs=0.05)


@pytest.mark.parametrize(
    ("age", "days"), [(6, []), (7, [7]), (89, [89]), (90, [90]), (125, [90, 90])]
)
def test_a_served_version_is_tried_only_on_days_that_it_had_not_seen(
    history: History, model: ChurnModel, age: int, days: list[int]
) -> None:
    served = replace(model, cutoff=TODAY - age)
    tried = backtest(history.until(TODAY), TODAY, served, settings=SETTINGS)
    assert [t.days for t in tried if SERVED in t.said] == days
    assert all(t.cutoff >= served.cutoff for t in tried if SERVED in t.said)


class Blurred(ChurnModel):
    """A model that lost some of its sight, and keeps its level."""

    def silent(
        self, history: History, cutoff: int, extras: pa.Table | None = None, days: int = 90
    ) -> Floats:
        p = super().silent(history, cutoff, extras, days)
        return expit(logit(p) + np.random.default_rng(1).normal(0, 0.4, len(p)))


def test_a_release_that_learns_worse_is_held_back_by_the_month_since(
    tmp_path: Path, history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    days, month_ago = purchase_days(history), AS_OF - timedelta(days=31)
    served = retrain(days, month_ago, TZ, tmp_path, settings=SETTINGS).version
    assert registry.served(tmp_path) == served

    def worse(*given: Any) -> ChurnModel | None:
        learnt = learn(*given)
        return learnt and Blurred(**vars(learnt))

    monkeypatch.setattr(trials, "learn", worse)
    made = retrain(days, AS_OF, TZ, tmp_path, settings=SETTINGS)
    assert "worse than the served version's on the 31 days" in made.verdict.why
    assert registry.served(tmp_path) == served
    monkeypatch.undo()
    mended = retrain(days, AS_OF, TZ, tmp_path, settings=SETTINGS)
    assert mended.verdict.promoted, mended.verdict.why
    assert mended.card["against_served"]["days"] == [31]


def test_what_is_served_does_not_change_what_is_learnt(history: History) -> None:
    """The log's rows at the served version's own cut-offs are for its trial alone."""
    cutoffs = [TODAY - 90 - 30 * k for k in range(8)]
    own = told(history, [TODAY, *cutoffs])
    both = told(history, [TODAY, *cutoffs, TODAY - 31, *[c - 31 for c in cutoffs]])
    until_today = history.until(TODAY)
    first, second = (trials.learn_as_of(until_today, TODAY, e, SETTINGS) for e in (own, both))
    assert first is not None
    assert second is not None
    assert first.ranker.encoder == second.ranker.encoder
    assert first.ranker.trees_alone.text == second.ranker.trees_alone.text


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


def test_entities_are_every_buyer_at_every_cutoff_with_what_came(tmp_path: Path) -> None:
    """At the cut-off 90 days before, `a` and `b` have bought, and `a` comes back in time."""
    table = purchase_days(history_of({"a": [230, 270], "b": [231], "new": [330]}))
    rows = training_entities(table, AS_OF, TZ, tmp_path, SETTINGS).to_pylist()
    at = {cutoff: seen_at(cutoff, TZ) for cutoff in (TODAY, TODAY - 90)}
    assert [(r[KEY], r[AT], r[LABEL]) for r in rows if r[AT] in at.values()] == [
        *((name, at[TODAY], None) for name in ("a", "b", "new")),
        ("a", at[TODAY - 90], False),
        ("b", at[TODAY - 90], True),
    ]
    assert seen_at(TODAY, TZ) == AS_OF - timedelta(microseconds=1)


def test_entities_are_also_of_the_cutoffs_that_a_young_served_version_is_tried_at(
    tmp_path: Path, history: History
) -> None:
    learnt = learn(history.until(TODAY - 31), TODAY - 31, settings=SETTINGS)
    assert learnt is not None
    days = purchase_days(history)
    alone = training_entities(days, AS_OF, TZ, tmp_path, SETTINGS)
    registry.use(tmp_path, registry.save(learnt, {}, tmp_path))
    rows = training_entities(days, AS_OF, TZ, tmp_path, SETTINGS)
    more = set(rows[AT].unique().to_pylist()) - set(alone[AT].unique().to_pylist())
    assert more == {seen_at(c, TZ) for c in (learnt.cutoff, *learnt.cutoffs)}
    own = rows.filter(pc.equal(rows[AT], pa.scalar(seen_at(TODAY - 31, TZ), INSTANT)))
    assert len(own) == len(history.at(TODAY - 31).row)
    assert own[LABEL].null_count == len(own)  # their 90 days are not over


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
