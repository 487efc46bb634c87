"""The parsed dbt project: where it lies, when it is stale, with which words it is made anew.

Loads neither Dagster nor dbt, so that dbt can be set to work before either is there.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

from pipelines.core.files import write_text
from pipelines.core.home import DBT_PROJECT, Brand

FOLDERS = ("analyses", "macros", "models", "seeds", "snapshots", "tests")
SUFFIXES = {".sql", ".yml", ".yaml", ".csv"}
MANIFEST, PARTIAL, STAMP = "manifest.json", "partial_parse.msgpack", "parsed.sha256"
PROJECT = "--project-dir"


def dbt_vars(brand: Brand) -> str:
    """dbt's variables, as its command line takes them: what all runs of the brand share.

    dbt parses the whole project anew when they change, so a run's instants are not among them.
    """
    config = brand.config_or_default()
    return json.dumps({"business_tz": config.business_tz, "currency": config.currency})


def fingerprint(words: Sequence[str]) -> str:
    """A digest of what dbt parses by these options of its command line: files, words and dbt.

    Not the files' times: a copy is younger, an unpacked release may be older than what it replaces.
    """
    project = Path(words[words.index(PROJECT) + 1])
    digest = sha256(json.dumps([version("dbt-core"), *words]).encode())
    for path in sorted(_sources(project)):
        content = path.read_bytes()
        digest.update(f"\0{path.relative_to(project)} {len(content)}\0".encode() + content)
    return digest.hexdigest()


def _sources(project: Path) -> Iterator[Path]:
    """The files of the project that dbt reads: not what it or anybody else has left there."""
    yield from project.glob("*.yml")
    for folder in FOLDERS:
        found = (project / folder).rglob("*")
        yield from (path for path in found if path.suffix in SUFFIXES and path.is_file())


def target_of(brand: Brand) -> Path:
    """Where the parsed project of a brand lies."""
    return brand.root / "dbt" / "target"


def is_fresh(brand: Brand) -> bool:
    """Whether the brand's manifest is of the project as it stands."""
    target = target_of(brand)
    stamp = target / STAMP
    if not (target / MANIFEST).exists() or not stamp.exists():
        return False
    return stamp.read_text(encoding="utf-8") == fingerprint(parse_options(brand))


def parse_options(brand: Brand) -> list[str]:
    """The words of dbt's command line that say which project to parse, and how for the brand."""
    options = {
        PROJECT: str(DBT_PROJECT),
        "--profiles-dir": str(DBT_PROJECT),
        "--vars": dbt_vars(brand),
    }
    return [word for option in options.items() for word in option]


def parse(target: Path, words: Sequence[str], dbt: Callable[[list[str]], bool]) -> bool:
    """Whether `dbt parse` went well; what came of it is then in `target`, each file in one move."""
    target.mkdir(parents=True, exist_ok=True)
    parsed = fingerprint(words)  # what is changed while dbt reads is stale
    with TemporaryDirectory(dir=target.parent, prefix="parse-") as folder:
        if (target / PARTIAL).exists():
            Path(folder, PARTIAL).write_bytes((target / PARTIAL).read_bytes())
        places = ["--target-path", folder, "--log-path", folder]
        if not dbt(["--quiet", "parse", *words, *places]):
            return False
        made = [name for name in (PARTIAL, MANIFEST) if Path(folder, name).exists()]
        if MANIFEST in made:
            (target / STAMP).unlink(missing_ok=True)
        for name in made:
            Path(folder, name).replace(target / name)
        if MANIFEST in made:
            write_text(target / STAMP, parsed)
    return True
