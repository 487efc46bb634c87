"""Versions of the model as files, which of them scores, and what may replace it."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from pipelines.core.churn import registry, train
from pipelines.core.churn.backtest import Trial, backtest
from pipelines.core.churn.history import History
from pipelines.core.churn.learn import Settings, learn
from pipelines.core.churn.model import ChurnModel
from pipelines.core.churn.registry import ModelError
from pipelines.core.churn.train import retrain
from pipelines.core.clock import as_of_for
from pipelines.core.errors import UsageError
from pipelines.core.files import sha256
from tests.churn_sample import START, day_of, drawn, purchase_days

TZ = "Asia/Shanghai"
TODAY = START + 330
AS_OF = as_of_for(day_of(TODAY), TZ)
SETTINGS = Settings(threads=1)


@pytest.fixture(scope="module")
def history() -> History:
    return drawn(600, 400)


@pytest.fixture(scope="module")
def model(history: History) -> ChurnModel:
    learnt = learn(history, TODAY, settings=SETTINGS)
    assert learnt is not None
    return learnt


def of_day(history: History, days_ago: int) -> ChurnModel:
    """The model of some days before."""
    learnt = learn(history.until(TODAY - days_ago), TODAY - days_ago, settings=SETTINGS)
    assert learnt is not None
    return learnt


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
    for _ in range(2):
        registry.use(tmp_path, registry.HEURISTIC)
        assert registry.served(tmp_path) is None
    registry.use(tmp_path, first)
    assert registry.served(tmp_path) == first


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
    assert registry.HEURISTIC in caught.value.remedy


def test_a_damaged_version_is_written_anew_by_the_same_training(
    tmp_path: Path, model: ChurnModel
) -> None:
    version = registry.save(model, {"trained_on": "then"}, tmp_path)
    for name in (registry.MODEL, registry.MANIFEST):
        (tmp_path / version / name).write_text('{"cut', encoding="utf-8")
        assert registry.save(model, {"trained_on": "now"}, tmp_path) == version
        registry.use(tmp_path, version)
    assert registry.card_of(tmp_path, version)["trained_on"] == "now"


@pytest.mark.parametrize("name", [registry.MANIFEST, registry.CARD])
@pytest.mark.parametrize("text", ["", '{"cut', "[]"])
def test_json_that_was_cut_off_gives_one_clear_error(
    tmp_path: Path, model: ChurnModel, name: str, text: str
) -> None:
    version = registry.save(model, {}, tmp_path)
    (tmp_path / version / name).write_text(text, encoding="utf-8")
    with pytest.raises(ModelError, match=name):
        registry.load(tmp_path, version)
    if name == registry.CARD:
        with pytest.raises(ModelError, match=name):
            registry.card_of(tmp_path, version)


def test_a_pointer_that_cannot_be_read_is_told_and_the_next_training_mends_it(
    tmp_path: Path, history: History
) -> None:
    (tmp_path / registry.CURRENT).write_text("", encoding="utf-8")
    with pytest.raises(ModelError, match=r"current\.json cannot be read"):
        registry.served(tmp_path)
    made = retrain(purchase_days(history), AS_OF, TZ, tmp_path, settings=SETTINGS)
    assert "not tried against what was served" in made.verdict.why
    assert registry.served(tmp_path) == made.version


def test_a_day_is_scored_by_nothing_that_knows_later_days(
    tmp_path: Path, history: History, model: ChurnModel
) -> None:
    """Three versions, the middle one held back; the newest is in use."""
    story = {40: True, 20: False, 0: True}
    names = {
        days: registry.save(
            of_day(history, days) if days else model, {"verdict": {"promoted": good}}, tmp_path
        )
        for days, good in story.items()
    }
    registry.use(tmp_path, names[0])
    found = {ago: registry.served_on(tmp_path, day_of(TODAY - ago)) for ago in (-9, 0, 1, 40, 41)}
    assert found == {-9: names[0], 0: names[0], 1: names[40], 40: names[40], 41: None}
    registry.use(tmp_path, names[20])
    assert registry.served_on(tmp_path, day_of(TODAY)) == names[20]
    registry.use(tmp_path, registry.HEURISTIC)
    assert registry.served_on(tmp_path, day_of(TODAY)) is None


def test_a_retraining_for_an_earlier_day_replaces_nothing_that_knows_more(
    tmp_path: Path, history: History, model: ChurnModel
) -> None:
    version = registry.save(model, {}, tmp_path)
    registry.use(tmp_path, version)
    earlier = AS_OF - timedelta(days=20)
    made = retrain(purchase_days(history), earlier, TZ, tmp_path, settings=SETTINGS)
    assert not made.verdict.promoted
    assert "later days" in made.verdict.why
    assert registry.served(tmp_path) == version
    assert made.version in registry.versions(tmp_path)


def test_a_way_back_taken_during_a_training_stays_taken(
    tmp_path: Path, history: History, model: ChurnModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.use(tmp_path, registry.save(model, {}, tmp_path))

    def meanwhile(*given: Any) -> list[Trial]:
        registry.use(tmp_path, registry.HEURISTIC)
        return backtest(*given)

    monkeypatch.setattr(train, "backtest", meanwhile)
    made = retrain(purchase_days(history), AS_OF, TZ, tmp_path, settings=SETTINGS)
    assert "changed during the training" in made.verdict.why
    assert registry.served(tmp_path) is None
