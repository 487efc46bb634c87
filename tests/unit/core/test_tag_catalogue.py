"""The tag catalogue as shipped, and the mistakes in an entry that are named instead of built."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipelines.core import tag_catalogue
from pipelines.core.home import DBT_PROJECT
from pipelines.core.tag_catalogue import (
    Moment,
    Param,
    TagCatalogue,
    TagCatalogueError,
    docs_text,
    macro_text,
)

Document = dict[str, Any]
DEFAULTS = {
    "owner": "crm",
    "purpose": "",
    "refresh": "daily",
    "max_age_s": 172800,
    "after_scoring": False,
    "target_systems": ["sidebar"],
}
GROUP: Document = {
    "group": "mood",
    "name_en": "Mood",
    "name_zh": "心情",
    "exclusive": True,
    "judged_at_as_of": True,
    "facts": "int_tag_facts_mood",
    "inputs": ["orders", "refunds"],
    "requires": ["orders"],
    "params": {"glad_days": {"default": 30, "unit": "days"}},
    "tags": [
        {
            "code": "mood.glad",
            "name_en": "Glad",
            "name_zh": "高興",
            "description_en": "Bought\n  lately.",
            "description_zh": "最近買過。",
            "rule_sql": {"when": "n > 0", "until": {"day": "last_day", "plus": ":glad_days + 1"}},
            "evidence_fields": ["n", "last_day"],
            "rule_version": 2,
            "tests": [
                {
                    "param": "glad_days",
                    "given": {"n": [1, 2, 3], "last_day": "2025-03-01"},
                    "at": ["2025-03-30", "2025-03-31", "2025-04-01"],
                    "holds": [True, True, False],
                }
            ],
        },
        {
            "code": "mood.calm",
            "name_en": "Calm",
            "name_zh": "平靜",
            "description_en": "Neither glad nor sad.",
            "description_zh": "不喜不悲。",
            "evidence_fields": ["n"],
            "rule_version": 1,
        },
    ],
}


def write(folder: Path, *groups: Document) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "_defaults.yml").write_text(yaml.safe_dump(DEFAULTS), encoding="utf-8")
    for group in groups:
        text = yaml.safe_dump(group, allow_unicode=True, sort_keys=False)
        (folder / f"{group['group']}.yml").write_text(text, encoding="utf-8")
    return folder


@pytest.fixture
def group() -> Document:
    return copy.deepcopy(GROUP)


@pytest.fixture(scope="module")
def shipped() -> TagCatalogue:
    return TagCatalogue.load()


def test_a_tag_inherits_from_its_group_and_from_the_defaults(
    tmp_path: Path, group: Document
) -> None:
    group["tags"][1]["owner"] = "research"
    catalogue = TagCatalogue.load(write(tmp_path / "tags", group))
    glad, calm = catalogue.tags.values()
    assert (glad.owner, calm.owner) == ("crm", "research")
    assert glad.facts == calm.facts == "int_tag_facts_mood"
    assert glad.exclusive
    assert glad.judged_at_as_of
    assert glad.description_en == "Bought lately."
    assert calm.rule is None


def test_a_rule_knows_its_moments_and_the_parameters_it_uses(
    tmp_path: Path, group: Document
) -> None:
    glad = TagCatalogue.load(write(tmp_path / "tags", group)).tags["mood.glad"]
    assert glad.rule is not None
    assert glad.rule.start is None
    assert glad.rule.end == Moment(day="last_day", plus=":glad_days + 1")
    assert glad.params == {"glad_days": Param("glad_days", 30, "days", in_facts=False)}


def test_the_lists_of_a_test_are_its_three_cases(tmp_path: Path, group: Document) -> None:
    cases = list(TagCatalogue.load(write(tmp_path / "tags", group)).cases)
    assert [(case.given["n"], case.at, case.holds) for case in cases] == [
        (1, "2025-03-30", True),
        (2, "2025-03-31", True),
        (3, "2025-04-01", False),
    ]
    assert {case.given["last_day"] for case in cases} == {"2025-03-01"}


def without(*keys: str) -> Callable[[Document], None]:
    return lambda group: [group["tags"][0].pop(key) for key in keys] and None


def tag(**changes: Any) -> Callable[[Document], None]:
    return lambda group: group["tags"][0].update(changes)


def rule(**changes: Any) -> Callable[[Document], None]:
    return lambda group: group["tags"][0]["rule_sql"].update(changes)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (without("name_zh"), "mood.glad: name_zh is missing"),
        (tag(name_en="  "), "mood.glad: name_en is missing"),
        (without("description_zh"), "mood.glad: description_zh is missing"),
        (without("rule_version"), "mood.glad: rule_version is missing"),
        (tag(rule_version=True), "mood.glad: rule_version is missing or no int"),
        (tag(evidence_fields=[]), "mood.glad: has no evidence_fields"),
        (tag(code="Mood glad"), "Mood glad: is no tag code"),
        (tag(colour="red"), "unknown key ['colour']"),
        (tag(facts="other"), "an exclusive group reads several relations"),
        (without("rule_sql", "tests"), "tags without a rule: ['mood.glad', 'mood.calm']"),
        (without("tests"), "no test stands at the boundary of :glad_days"),
        (rule(when="n > :glad_hours"), "unknown parameter ['glad_hours']"),
        (rule(when="last_at < now()"), "reads the clock: now"),
        (rule(when="last_at < CURRENT_TIMESTAMP"), "reads the clock: CURRENT_TIMESTAMP"),
        (rule(when="day = current_date"), "reads the clock: current_date"),
        (rule(until="as_of"), "reads the clock: as_of"),
        (rule(when="random() < 0.5"), "reads the clock: random"),
        (rule(until={"day": "cast(last_at as DATE)", "plus": "1"}), "which is UTC's: as DATE"),
        (rule(when="extract(hour from last_at) < 6"), "which is UTC's: extract("),
        (rule(when="date_trunc('day', last_at) < last_day"), "which is UTC's: date_trunc("),
        (rule(when="{{ n }} > 0"), "is not plain SQL"),
        (rule(when="n::int > 0"), "is not plain SQL"),
        (rule(until={"day": "last_day"}), "until is no moment"),
        (rule(since="last_at"), "unknown key ['since']"),
        (lambda group: group.update(purpose="fun"), "purpose 'fun'"),
        (lambda group: group.update(group="moods"), "moods.yml"),
        (lambda group: group.update(requires=["stores"]), "requires ['stores']"),
        (lambda group: group.update(tags=[]), "has no tags"),
        (lambda group: group["params"].update(sad_days={"default": 1, "unit": "days"}), "no rule"),
        (lambda group: group["params"].update(sad_days={"unit": "days"}), "no number as default"),
        (lambda group: group["params"].update(sad_days={"default": 1}), "unit is missing"),
        (lambda group: group["tags"][0]["tests"][0].update(holds=[True]), "not three values"),
        (lambda group: group["tags"][0]["tests"][0].update(param="x"), "no rule uses :x"),
    ],
)
def test_a_flawed_entry_is_refused_in_words_that_say_where(
    tmp_path: Path, group: Document, spoil: Callable[[Document], None], words: str
) -> None:
    spoil(group)
    folder = write(tmp_path / "tags", group)
    if group["group"] != "mood":
        (folder / "moods.yml").rename(folder / "mood.yml")
    with pytest.raises(TagCatalogueError) as caught:
        TagCatalogue.load(folder)
    assert words in str(caught.value)
    assert "mood.yml" in caught.value.message
    assert caught.value.remedy


def test_words_that_only_look_like_a_clock_or_a_day_of_utc_are_allowed(
    tmp_path: Path, group: Document
) -> None:
    group["tags"][0]["rule_sql"]["when"] = (
        "known_days > 0 and nowhere = 'today_only' and last_day > date '2025-01-01'"
    )
    assert TagCatalogue.load(write(tmp_path / "tags", group)).tags


def test_a_code_in_two_groups_is_refused(tmp_path: Path, group: Document) -> None:
    other = copy.deepcopy(group)
    other["group"] = "temper"
    with pytest.raises(TagCatalogueError, match=r"tag mood\.calm stands in the catalogue twice"):
        TagCatalogue.load(write(tmp_path / "tags", group, other))


@pytest.mark.parametrize("text", ["- a list", "group: [", ""])
def test_a_file_that_is_no_group_is_refused(tmp_path: Path, text: str) -> None:
    folder = write(tmp_path / "tags")
    (folder / "mood.yml").write_text(text, encoding="utf-8")
    with pytest.raises(TagCatalogueError, match=r"mood\.yml"):
        TagCatalogue.load(folder)


def test_a_group_that_may_hold_several_tags_needs_a_rule_for_each(
    tmp_path: Path, group: Document
) -> None:
    group["exclusive"] = False
    with pytest.raises(TagCatalogueError, match=r"tags without a rule: \['mood\.calm'\]"):
        TagCatalogue.load(write(tmp_path / "tags", group))


def test_dbt_is_given_what_sql_needs(tmp_path: Path, group: Document) -> None:
    text = macro_text(TagCatalogue.load(write(tmp_path / "tags", group)))
    value = json.loads(text[text.index("return(") + len("return(") : text.rindex(") }}")])
    assert value["mood"]["params"] == {"glad_days": 30}
    assert value["mood"]["requires"] == ["orders"]
    glad, calm = value["mood"]["tags"]
    assert glad["until"] == {"day": "last_day", "plus": ":glad_days + 1"}
    assert "from" not in glad
    assert "when" not in calm


def test_the_table_of_tags_replaces_only_itself(tmp_path: Path, group: Document) -> None:
    catalogue = TagCatalogue.load(write(tmp_path / "tags", group))
    page = "before\n<!-- tags: generated -->\nold\n<!-- tags: end -->\nafter\n"
    text = docs_text(catalogue, page)
    assert text.startswith("before\n")
    assert text.endswith("\nafter\n")
    assert "| `mood.glad` | 高興 | Glad: Bought lately. |" in text
    assert "old" not in text
    assert docs_text(catalogue, text) == text


def test_generated_files_are_not_stale(shipped: TagCatalogue) -> None:
    for path, text in tag_catalogue.generated(shipped).items():
        assert path.read_text(encoding="utf-8") == text, f"{path.name}: run `make generate`"


def test_the_shipped_exclusive_groups_hold_what_they_must(shipped: TagCatalogue) -> None:
    tags = {name: [tag.code for tag in group.tags] for name, group in shipped.groups.items()}
    assert len(tags["lifecycle"]) == 8
    assert len(tags["rfm"]) == 8
    assert tags["research"] == [
        "research.hater",
        "research.lover",
        "research.one_and_done",
        "research.never_bought",
        "research.none",
    ]
    assert tags["churn"][-1] == "risk.unscored"
    exclusive = {name for name, group in shipped.groups.items() if group.exclusive}
    assert exclusive == {"lifecycle", "rfm", "research", "churn", "value"}


def test_what_profiles_a_member_needs_consent_to_it(shipped: TagCatalogue) -> None:
    assert {g.name for g in shipped.groups.values() if g.purpose == "profiling"} == {
        "rfm",
        "value",
        "churn",
    }


def test_facts_of_the_shipped_tags_are_models_with_every_column_they_name(
    shipped: TagCatalogue,
) -> None:
    for one in shipped.tags.values():
        document = yaml.safe_load(
            (DBT_PROJECT / "models" / "intermediate" / f"{one.facts}.yml").read_text(
                encoding="utf-8"
            )
        )
        columns = {column["name"] for column in document["models"][0]["columns"]}
        needed = {"member_id", "facts_from", "facts_until", *one.evidence_fields}
        assert needed <= columns, one.code
