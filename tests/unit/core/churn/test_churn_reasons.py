from __future__ import annotations

import numpy as np
import pytest

from pipelines.core.catalog import Catalog
from pipelines.core.churn import explain, perturb
from pipelines.core.churn.btyd import ParetoNBD
from pipelines.core.churn.explain import Subject
from pipelines.core.churn.features import Features, features_of
from pipelines.core.churn.history import History
from pipelines.core.churn.reasons import Phrase, Reason, top_reasons
from pipelines.core.home import DBT_PROJECT
from tests.churn_sample import START, drawn, history_of

PHRASES = [
    (
        Phrase("once", "bought once", "只買過一次", lambda facts: facts["n"] == 1),
        Phrase("often", "bought {n} times in {days} days", "{days} 天內買了 {n} 次"),
    ),
    (Phrase("late", "late", "遲了"),),
]
FACTS = {"n": np.array([1, 4, 9]), "days": np.array([5, 50, 90])}


def test_the_strongest_reason_comes_first_with_its_direction_and_numbers() -> None:
    told = top_reasons(np.array([[0.3, -0.2], [-0.5, 0.9], [0.01, 0.02]]), PHRASES, FACTS)
    assert told.to_pylist() == [
        ["+once|bought once|只買過一次", "-late|late|遲了"],
        ["+late|late|遲了", "-often|bought 4 times in 50 days|50 天內買了 4 次"],
        [],
    ]


def test_a_reason_is_read_back() -> None:
    (text,) = top_reasons(
        np.array([[0.3, 0.0]]), PHRASES, {"n": FACTS["n"][:1], "days": FACTS["days"][:1]}
    )[0].as_py()
    assert Reason.parse(text) == Reason(True, "once", "bought once", "只買過一次")


def test_at_most_three_reasons_are_given() -> None:
    ideas = [(Phrase(str(i), str(i), str(i)),) for i in range(5)]
    told = top_reasons(np.array([[0.1, 0.5, 0.3, 0.2, 0.4]]), ideas, {})
    assert [Reason.parse(text).code for text in told[0].as_py()] == ["1", "4", "2"]


def reading(history: History, cutoff: int, slope: float) -> tuple[explain.Reading, Subject]:
    """A reading of odds that rise with lateness and fall with what a customer spends."""
    snapshot = history.at(cutoff)
    features = features_of(history, snapshot, ParetoNBD(1, 30, 1, 100))
    late = np.log1p(snapshot.recency) - np.log1p(30)
    odds = slope * late - 2 * (features["net_mean"] - features["net_mean"].mean())
    subject = Subject(snapshot, features)
    return explain.read(subject, odds, cycle=30.0, log_names=()), subject


def test_the_additive_reading_accounts_for_additive_odds() -> None:
    found, subject = reading(drawn(3000), START + 400, slope=1.0)
    assert found.fit > 0.9
    said = found.contributions(subject)[:, found.ideas.index("spend")]
    assert np.corrcoef(said, subject.features["net_mean"])[0, 1] < -0.9


def test_the_log_is_told_only_what_the_history_leaves() -> None:
    """One feature repeats the recency, one is news; words are there for both."""
    history, cutoff = drawn(3000), START + 400
    snapshot = history.at(cutoff)
    features = features_of(history, snapshot, ParetoNBD(1, 30, 1, 100))
    news = np.random.default_rng(2).random(len(snapshot.n))
    again, told = "log_distinct_categories_365d", "log_refund_rate_365d"
    columns = {**features.columns, again: snapshot.recency.astype(float), told: news}
    subject = Subject(snapshot, Features({**columns, "log_touches_7d": news}))
    odds = np.log1p(snapshot.recency) + 2 * news
    found = explain.read(subject, odds, 30.0, (again, told, "log_touches_7d"))
    said = found.contributions(subject)
    spread = {idea: said[:, column].std() for column, idea in enumerate(found.ideas)}
    assert set(spread) == {*explain.PHRASES, again, told}
    assert spread[again] < 0.3 * spread["rhythm"]
    assert np.corrcoef(said[:, found.ideas.index(told)], news)[0, 1] > 0.9


def test_every_feature_with_words_is_one_that_the_model_learns_from() -> None:
    service = Catalog.from_dbt(DBT_PROJECT).services["churn_train_v1"]
    assert set(explain.LOG_PHRASES) <= {feature for _, feature in service.features}


def test_the_cycle_that_is_named_is_the_one_that_lateness_is_counted_by() -> None:
    """Two purchases 10 days apart lean on the brand's 30 days: 1/4 x 10 + 3/4 x 30 = 25."""
    history, cutoff = history_of({"few": [0, 10], "own": [0, 10, 20, 30]}), START + 40
    snapshot = history.at(cutoff)
    subject = Subject(snapshot, features_of(history, snapshot, ParetoNBD(1, 30, 1, 100)))
    found = explain.read(subject, np.zeros(2), cycle=30.0, log_names=())
    facts = found.facts(subject)
    assert facts["cycle"].tolist() == [25, 10]
    ideas = [explain.PHRASES["rhythm"]]
    few, own = (Reason.parse(r[0]) for r in top_reasons(np.ones((2, 1)), ideas, facts).to_pylist())
    assert few.english == "expected about every 25 days, now 30"
    assert own.english == "usually buys every 10 days, now 10"


def test_being_late_can_only_be_a_reason_for_risk() -> None:
    """Odds that fall with lateness find no words: the rhythm's cells are put in order."""
    found, subject = reading(drawn(3000), START + 400, slope=-1.0)
    column = found.ideas.index("rhythm")
    few = subject.snapshot.n == 3
    order = np.argsort(
        subject.snapshot.recency[few] / np.maximum(1, subject.snapshot.mean_gap[few])
    )
    said = found.contributions(subject)[few][:, column]
    assert said[order[-20:]].mean() >= said[order[:20]].mean() - 1e-9


def test_an_idea_that_undoing_contradicts_is_not_spoken() -> None:
    found, subject = reading(drawn(1000), START + 400, slope=1.0)
    muted = found.silenced({"rhythm": 0.4, "spend": 0.99}, least=0.8)
    assert muted.ideas == ("spend",), "what was not tested is not spoken either"
    assert muted.contributions(subject).shape[1] == 1


def test_a_reading_is_read_back_as_it_was() -> None:
    found, subject = reading(drawn(1000), START + 400, slope=1.0)
    again = explain.Reading.from_json(found.to_json())
    np.testing.assert_array_equal(again.contributions(subject), found.contributions(subject))


CUTOFF = START + 100
LATE, TIMELY = np.array([True, False]), np.array([False, True])


def undone(idea: str, raises: np.ndarray) -> dict[str, list[int]]:
    history = history_of({"a": [0, 20, 40], "b": [90]})
    changed = perturb.undo(idea, perturb.Said(history, CUTOFF, raises))
    parts = np.split(changed.day - START, changed.offsets[1:-1])
    return {name: part.tolist() for name, part in zip("ab", parts, strict=True)}


@pytest.mark.parametrize(
    ("idea", "raises", "expected"),
    [
        ("rhythm", LATE, {"a": [60, 80, 100], "b": [-30]}),
        ("rhythm", TIMELY, {"a": [-120, -100, -80], "b": [100]}),
        ("frequency", LATE, {"a": [0, 20, 30, 40], "b": [90]}),
        ("frequency", TIMELY, {"a": [0, 40], "b": [60, 90]}),
        ("spend", LATE, {"a": [0, 20, 40], "b": [90]}),
    ],
)
def test_undoing_an_idea_changes_just_that(
    idea: str, raises: np.ndarray, expected: dict[str, list[int]]
) -> None:
    assert undone(idea, raises) == expected
