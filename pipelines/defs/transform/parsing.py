"""The parsed dbt project: where it lies, when it is stale, with which words it is made anew.

Loads neither Dagster nor dbt, so that dbt can be set to work before either is there.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from pipelines.core.home import DBT_PROJECT, Brand

SUFFIXES = {".sql", ".yml", ".yaml", ".csv"}
MANIFEST, PARTIAL = "manifest.json", "partial_parse.msgpack"


def dbt_vars(brand: Brand) -> str:
    """dbt's variables, as its command line takes them: what all runs of the brand share.

    dbt parses the whole project anew when they change, so a run's instants are not among them.
    """
    config = brand.config_or_default()
    return json.dumps({"business_tz": config.business_tz, "currency": config.currency})


def newest_change(project: Path) -> float:
    """When a file that dbt parses was last changed, added or taken away, in epoch seconds."""
    sources = (p for p in project.rglob("*") if p.suffix in SUFFIXES or p.is_dir())
    return max(p.stat().st_mtime for p in sources)


def target_of(brand: Brand) -> Path:
    """Where the parsed project of a brand lies."""
    return brand.root / "dbt" / "target"


def is_fresh(brand: Brand) -> bool:
    """Whether the brand's manifest is younger than every source of it."""
    manifest = target_of(brand) / MANIFEST
    return manifest.exists() and manifest.stat().st_mtime >= newest_change(DBT_PROJECT)


def parse_options(brand: Brand) -> list[str]:
    """The words of dbt's command line that say which project to parse, and how for the brand."""
    options = {
        "--project-dir": str(DBT_PROJECT),
        "--profiles-dir": str(DBT_PROJECT),
        "--vars": dbt_vars(brand),
    }
    return [word for option in options.items() for word in option]


def parse(target: Path, words: Sequence[str], dbt: Callable[[list[str]], bool]) -> bool:
    """Whether `dbt parse` went well; what came of it is then in `target`, each file in one move."""
    target.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=target.parent, prefix="parse-") as folder:
        if (target / PARTIAL).exists():
            Path(folder, PARTIAL).write_bytes((target / PARTIAL).read_bytes())
        places = ["--target-path", folder, "--log-path", folder]
        if not dbt(["--quiet", "parse", *words, *places]):
            return False
        for name in (PARTIAL, MANIFEST):
            if Path(folder, name).exists():
                Path(folder, name).replace(target / name)
    return True
