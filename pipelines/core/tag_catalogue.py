"""The tag catalogue: every tag as data, read from YAML, checked, and written out for dbt.

A file of `dbt_project/tags` is a group of tags; what a tag means in SQL stands there and nowhere
else. Turning rules into intervals is the business of `dbt_project/macros/tags`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any, TypeAlias

import yaml

from pipelines.core.errors import HuitouError
from pipelines.core.files import write_text
from pipelines.core.home import DBT_PROJECT, REPOSITORY

FOLDER = DBT_PROJECT / "tags"
MACRO = DBT_PROJECT / "macros" / "generated" / "tag_catalogue.sql"
DOCS = REPOSITORY / "docs" / "tags.md"
DEFAULTS = "_defaults.yml"
PURPOSES = ("", "marketing", "profiling")
LANGUAGES = ("en", "zh")
TABLE_BEGINS, TABLE_ENDS = "<!-- tags: generated -->", "<!-- tags: end -->"

CODE = re.compile(r"[a-z][a-z_]*\.[a-z0-9][a-z0-9_]*")
PARAM = re.compile(r":([a-z_]+)")
#: Words that make a rule depend on when it is run, and the run's own instants.
CLOCK = re.compile(
    r"\b(now|today|current_(?:date|time|timestamp|localtimestamp)|get_current_\w+|localtime\w*"
    r"|sysdate|getdate|unix_timestamp|transaction_timestamp|random|rand|uuid|as_of"
    r"|knowledge_cutoff)\b",
    re.IGNORECASE,
)
#: What takes a day or an hour out of an instant: the session's, which is UTC, not the brand's.
UTC_DAY = re.compile(
    r"\b(as\s+date\b|(?:date|date_trunc|datetrunc|date_part|datepart|extract|strftime"
    r"|year|month|week|day|hour|dayofweek)\s*\()",
    re.IGNORECASE,
)
JINJA = re.compile(r"\{[{%#]")

GROUP_KEYS = {
    "group", "name_en", "name_zh", "exclusive", "judged_at_as_of", "facts", "inputs", "requires",
    "params", "tags", "owner", "purpose", "refresh", "max_age_s", "after_scoring", "target_systems",
}  # fmt: skip
TAG_KEYS = {
    "code", "name_en", "name_zh", "description_en", "description_zh", "rule_sql", "rule_version",
    "evidence_fields", "tests", "facts", "judged_at_as_of", "owner", "inputs", "refresh",
    "max_age_s", "expires_days", "target_systems",
}  # fmt: skip
#: What a tag takes from its group unless it says otherwise.
INHERITED = sorted(GROUP_KEYS & TAG_KEYS - {"name_en", "name_zh"})
Scalar: TypeAlias = str | int | float | bool | date | datetime | None


class TagCatalogueError(HuitouError):
    """An entry of the tag catalogue is incomplete or contradicts itself."""


@dataclass(frozen=True)
class Param:
    """A threshold of a group; `in_facts` ones are applied where the facts are gathered."""

    name: str
    default: int | float
    unit: str
    in_facts: bool


@dataclass(frozen=True)
class Moment:
    """An instant as a rule states it.

    Either the SQL expression `at`, or the start of the local `day`, moved by `plus` local days.
    """

    at: str = ""
    day: str = ""
    plus: str = ""

    @property
    def texts(self) -> tuple[str, ...]:
        """The SQL it is made of."""
        return (self.at, self.day, self.plus)


@dataclass(frozen=True)
class Rule:
    """While a row of facts holds and `when` is true, the tag does from `start` to `end`."""

    when: str
    start: Moment | None
    end: Moment | None

    @property
    def texts(self) -> tuple[str, ...]:
        """The SQL it is made of."""
        moments = [moment for moment in (self.start, self.end) if moment]
        return (self.when, *(text for moment in moments for text in moment.texts))

    @property
    def params(self) -> tuple[str, ...]:
        """Names of the parameters it uses, sorted."""
        return tuple(sorted({name for text in self.texts for name in PARAM.findall(text)}))


@dataclass(frozen=True)
class Case:
    """A test of one parameter's boundary: does the tag hold at `at`, of a row of facts?"""

    tag: str
    param: str
    given: dict[str, Scalar]
    at: Scalar
    holds: bool


@dataclass(frozen=True)
class Tag:
    """One tag. `rule` is None for the tag of an exclusive group that holds where no other does."""

    code: str
    group: str
    exclusive: bool
    name_en: str
    name_zh: str
    description_en: str
    description_zh: str
    owner: str
    rule: Rule | None
    facts: str
    inputs: tuple[str, ...]
    purpose: str
    refresh: str
    max_age_s: int
    judged_at_as_of: bool
    expires_days: int | None
    evidence_fields: tuple[str, ...]
    target_systems: tuple[str, ...]
    rule_version: int
    params: dict[str, Param]
    tests: tuple[Case, ...]


@dataclass(frozen=True)
class TagGroup:
    """Tags about one question; of an exclusive group each member has exactly one at any instant."""

    name: str
    name_en: str
    name_zh: str
    exclusive: bool
    facts: str
    purpose: str
    after_scoring: bool
    inputs: tuple[str, ...]
    requires: tuple[str, ...]  # inputs without any row of which the group says nothing
    params: dict[str, Param]
    tags: tuple[Tag, ...]


@dataclass(frozen=True)
class TagCatalogue:
    """All groups by name, in the order of their names."""

    groups: dict[str, TagGroup]

    @property
    def tags(self) -> dict[str, Tag]:
        """All tags by code, in the order of the catalogue."""
        return {tag.code: tag for group in self.groups.values() for tag in group.tags}

    @property
    def cases(self) -> Iterator[Case]:
        """Every boundary test of every tag."""
        return (case for tag in self.tags.values() for case in tag.tests)

    @classmethod
    def load(cls, folder: Path = FOLDER) -> TagCatalogue:
        """Read and check the catalogue.

        Raises:
            TagCatalogueError: an entry is incomplete, unknown or contradicts itself; the message
                names file and tag.
        """
        defaults = _read(folder / DEFAULTS)
        paths = sorted(path for path in folder.glob("*.yml") if path.name != DEFAULTS)
        groups = [_group({**defaults, **_read(path)}, path) for path in paths]
        for what, names in (
            ("group", [group.name for group in groups]),
            ("tag", [tag.code for group in groups for tag in group.tags]),
        ):
            for name in sorted({name for name in names if names.count(name) > 1}):
                message = f"{what} {name} stands in the catalogue twice"
                raise TagCatalogueError(message, "keep one of the entries")
        return cls({group.name: group for group in sorted(groups, key=lambda g: g.name)})


def _read(path: Path) -> dict[str, Any]:
    try:
        value = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        message = f"{path.name}: cannot be read: {error}"
        raise TagCatalogueError(message, "write it as YAML") from error
    if not isinstance(value, dict):
        message = f"{path.name}: is not a mapping"
        raise TagCatalogueError(message, "give it the keys of a tag group")
    return value


class _Entry:
    """One mapping of the catalogue, read key by key with errors that say where."""

    def __init__(self, value: dict[str, Any], where: str, keys: set[str]) -> None:
        self.value, self.where = value, where
        unknown = sorted(set(value) - keys)
        self.require(not unknown, f"unknown key {unknown[:1]}", f"use one of {sorted(keys)}")

    def require(self, condition: bool, wrong: str, remedy: str) -> None:
        if not condition:
            message = f"{self.where}: {wrong}"
            raise TagCatalogueError(message, remedy)

    def get(self, key: str, kind: type) -> Any:
        value = self.value.get(key)
        fits = isinstance(value, kind) and isinstance(value, bool) == (kind is bool)
        self.require(fits, f"{key} is missing or no {kind.__name__}", f"give {key} a value")
        return value

    def words(self, key: str) -> str:
        text = " ".join(str(self.value.get(key) or "").split())
        self.require(bool(text), f"{key} is missing", "say it in both languages")
        return text

    def names(self, key: str) -> tuple[str, ...]:
        return tuple(str(name) for name in self.get(key, list))


def _group(value: dict[str, Any], path: Path) -> TagGroup:
    entry = _Entry(value, path.name, GROUP_KEYS)
    name, exclusive = entry.get("group", str), entry.get("exclusive", bool)
    entry.require(name == path.stem, f"holds group {name!r}", f"call the file {name}.yml")
    purpose = entry.get("purpose", str)
    entry.require(purpose in PURPOSES, f"purpose {purpose!r}", f"use one of {PURPOSES}")
    params = {key: _param(entry, key, given) for key, given in entry.get("params", dict).items()}
    inherited = {key: value.get(key) for key in INHERITED}
    tags = tuple(
        _tag({**inherited, **tag}, path.name, (name, exclusive, purpose), params)
        for tag in entry.get("tags", list)
    )
    _check_group(entry, exclusive, tags, params)
    return TagGroup(
        name=name,
        name_en=entry.words("name_en"),
        name_zh=entry.words("name_zh"),
        exclusive=exclusive,
        facts=entry.get("facts", str),
        purpose=purpose,
        after_scoring=entry.get("after_scoring", bool),
        inputs=entry.names("inputs"),
        requires=entry.names("requires"),
        params=params,
        tags=tags,
    )


def _param(entry: _Entry, name: str, given: Any) -> Param:
    value = _Entry(
        given if isinstance(given, dict) else {},
        f"{entry.where}: parameter {name}",
        {"default", "unit", "in_facts"},
    )
    default = value.value.get("default")
    is_number = isinstance(default, int | float) and not isinstance(default, bool)
    value.require(is_number, "has no number as default", "give it one")
    unit, in_facts = value.get("unit", str), bool(value.value.get("in_facts", False))
    return Param(name, 0 if default is None else default, unit, in_facts)


def _tag(
    value: dict[str, Any], file: str, of: tuple[str, bool, str], params: dict[str, Param]
) -> Tag:
    code = str(value.get("code", "a tag without code"))
    entry = _Entry(value, f"{file}: {code}", TAG_KEYS)
    entry.require(bool(CODE.fullmatch(code)), "is no tag code", "write word.word, lower case")
    rule = _rule(entry) if "rule_sql" in value else None
    used = rule.params if rule else ()
    unknown = sorted(set(used) - set(params))
    entry.require(not unknown, f"unknown parameter {unknown}", f"add it to the params of {file}")
    evidence = entry.names("evidence_fields")
    entry.require(bool(evidence), "has no evidence_fields", "name the facts that answer why")
    group, exclusive, purpose = of
    return Tag(
        code=code,
        group=group,
        exclusive=exclusive,
        name_en=entry.words("name_en"),
        name_zh=entry.words("name_zh"),
        description_en=entry.words("description_en"),
        description_zh=entry.words("description_zh"),
        owner=entry.get("owner", str),
        rule=rule,
        facts=entry.get("facts", str),
        inputs=entry.names("inputs"),
        purpose=purpose,
        refresh=entry.get("refresh", str),
        max_age_s=entry.get("max_age_s", int),
        judged_at_as_of=entry.get("judged_at_as_of", bool),
        expires_days=value.get("expires_days"),
        evidence_fields=evidence,
        target_systems=entry.names("target_systems"),
        rule_version=entry.get("rule_version", int),
        params={name: params[name] for name in used},
        tests=tuple(case for test in value.get("tests", []) for case in _cases(entry, test, used)),
    )


def _rule(entry: _Entry) -> Rule:
    sql = _Entry(entry.get("rule_sql", dict), entry.where, {"when", "from", "until"})
    rule = Rule(str(sql.value.get("when", "true")), _moment(sql, "from"), _moment(sql, "until"))
    for text in rule.texts:
        clock = CLOCK.search(text)
        words = f"reads the clock: {clock.group()}" if clock else ""
        entry.require(not clock, words, "say from when until when it holds, from facts alone")
        local = UTC_DAY.search(text)
        words = f"takes a day out of an instant, which is UTC's: {local.group()}" if local else ""
        remedy = "name a local date of the facts, or move the instant by {at: …, plus: …}"
        entry.require(not local, words, remedy)
        plain = "::" not in text and not JINJA.search(text)
        entry.require(plain, "is not plain SQL", "leave out Jinja; write cast(…) for `::`")
    return rule


def _moment(entry: _Entry, key: str) -> Moment | None:
    value = entry.value.get(key)
    if value is None or isinstance(value, str):
        return Moment(at=value) if value else None
    known = isinstance(value, dict) and set(value) in ({"day", "plus"}, {"at", "plus"})
    entry.require(known, f"{key} is no moment", "write SQL, or {day or at: …, plus: …}")
    return Moment(**{name: str(text) for name, text in value.items()})


def _cases(entry: _Entry, test: dict[str, Any], used: tuple[str, ...]) -> list[Case]:
    """The three cases of one test: where it gives lists, their first, second and third values."""
    fields = _Entry(test, f"{entry.where}: tests", {"param", "given", "at", "holds"})
    param, given, holds = fields.get("param", str), fields.get("given", dict), test.get("holds")
    fields.require(param in used, f"no rule uses :{param}", "test the parameters of the rule")
    three = isinstance(holds, list) and len(holds) == 3
    fields.require(three, "holds is not three values", "say it below, at and above the value")
    cases = [{**given, "at": test.get("at"), "holds": holds} for _ in range(3)]
    picked = [
        {key: value[place] if isinstance(value, list) else value for key, value in case.items()}
        for place, case in enumerate(cases)
    ]
    return [
        Case(entry.value["code"], param, at=case.pop("at"), holds=case.pop("holds"), given=case)
        for case in picked
    ]


def _check_group(
    entry: _Entry, exclusive: bool, tags: tuple[Tag, ...], params: dict[str, Param]
) -> None:
    entry.require(bool(tags), "has no tags", "give it one, or delete the file")
    ruleless = [tag.code for tag in tags if tag.rule is None]
    entry.require(
        ruleless == ([tags[-1].code] if exclusive else []),
        f"tags without a rule: {ruleless}",
        "the last tag of an exclusive group, and no other, is the one without a rule",
    )
    entry.require(
        not exclusive or {tag.facts for tag in tags} == {entry.value["facts"]},
        "an exclusive group reads several relations",
        "give all its tags the group's facts",
    )
    extra = sorted(set(entry.names("requires")) - set(entry.names("inputs")))
    entry.require(not extra, f"requires {extra}", "name it among the inputs")
    tested = {case.param for tag in tags for case in tag.tests}
    used = {name for tag in tags for name in tag.params}
    for name, param in params.items():
        known = param.in_facts or name in used
        entry.require(known, f"no rule uses :{name}", "drop it, or mark it in_facts")
        entry.require(
            name not in used or name in tested,
            f"no test stands at the boundary of :{name}",
            "add a test with three cases: just below, at and just above the value",
        )


def macro_text(catalogue: TagCatalogue) -> str:
    """The dbt macro `tag_catalogue()`, which returns what SQL needs to know of every group."""
    groups = {group.name: _group_for_dbt(group) for group in catalogue.groups.values()}
    text = json.dumps(groups, indent=4, ensure_ascii=False)
    return (
        "{# Generated from tags/ by `make generate`; change the catalogue instead. #}\n"
        "{% macro tag_catalogue() %}\n{{ return(\n" + text + "\n) }}\n{% endmacro %}\n"
    )


def _group_for_dbt(group: TagGroup) -> dict[str, Any]:
    return {
        "exclusive": group.exclusive,
        "facts": group.facts,
        "purpose": group.purpose,
        "after_scoring": group.after_scoring,
        "requires": list(group.requires),
        "params": {param.name: param.default for param in group.params.values()},
        "tags": [_tag_for_dbt(tag) for tag in group.tags],
    }


def _tag_for_dbt(tag: Tag) -> dict[str, Any]:
    value = {
        "code": tag.code,
        "name_en": tag.name_en,
        "name_zh": tag.name_zh,
        "facts": tag.facts,
        "judged_at_as_of": tag.judged_at_as_of,
        "evidence_fields": list(tag.evidence_fields),
        "rule_version": tag.rule_version,
    }
    if tag.expires_days is not None:
        value["expires_days"] = tag.expires_days
    if tag.rule:
        value["when"] = tag.rule.when
        for key, moment in (("from", tag.rule.start), ("until", tag.rule.end)):
            if moment:
                value[key] = {
                    name: text
                    for name, text in (
                        ("at", moment.at),
                        ("day", moment.day),
                        ("plus", moment.plus),
                    )
                    if text
                }
    return value


def table_text(catalogue: TagCatalogue) -> str:
    """The catalogue as a Markdown table, one row a tag."""
    lines = [
        "| Tag | 中文 | English | Group | Judged | Consent | Parameters | Facts |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for tag in catalogue.tags.values():
        params = ", ".join(f"`{p.name}` = {p.default}" for p in tag.params.values())
        group = f"{tag.group}, one of" if tag.exclusive else tag.group
        judged = "at `as_of`" if tag.judged_at_as_of else "by facts"
        lines.append(
            f"| `{tag.code}` | {tag.name_zh} | {tag.name_en}: {tag.description_en} | {group} "
            f"| {judged} | {tag.purpose} | {params} | `{tag.facts}` |"
        )
    return "\n".join(lines)


def docs_text(catalogue: TagCatalogue, text: str) -> str:
    """The page `text` with its table of tags written anew."""
    before, _, rest = text.partition(TABLE_BEGINS)
    _, _, after = rest.partition(TABLE_ENDS)
    return f"{before}{TABLE_BEGINS}\n{table_text(catalogue)}\n{TABLE_ENDS}{after}"


def generated(catalogue: TagCatalogue) -> dict[Path, str]:
    """What the catalogue says each generated file should hold."""
    return {
        MACRO: macro_text(catalogue),
        DOCS: docs_text(catalogue, DOCS.read_text(encoding="utf-8")),
    }


def generate() -> None:
    """Write the generated files from the catalogue as it stands."""
    for path, text in generated(TagCatalogue.load()).items():
        write_text(path, text)


if __name__ == "__main__":
    generate()
