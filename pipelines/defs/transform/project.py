"""The dbt project as Dagster sees it: where its target lies, and a manifest that is never stale."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from dagster_dbt import DbtCliResource, DbtProject
from dbt.version import __version__ as dbt_version
from packaging.version import Version

from pipelines.core.errors import HuitouError
from pipelines.core.home import DBT_PROJECT, Brand
from pipelines.defs.run import dbt_vars

SUFFIXES = {".sql", ".yml", ".yaml", ".csv"}


class Dbt(DbtCliResource):  # type: ignore[misc]  # the library has no types
    """dbt's command line, started for builds alone.

    The library also makes a handle of dbt's own in this process, to ask the warehouse for columns
    and row counts, which nobody does here; and it starts dbt once a run to learn its version, which
    asks the network for the newest one. Each takes seconds of every run.
    """

    def _initialize_dbt_core_adapter(self, args: Sequence[str]) -> None:  # noqa: ARG002
        return None

    @property
    def _cli_version(self) -> Version:
        return Version(dbt_version)


def dbt_executable() -> str:
    """The `dbt` of this environment, whether or not its folder is on the path."""
    return str(Path(sys.executable).parent / "dbt")


def newest_change(project: Path) -> float:
    """When any file that dbt parses was last changed, as seconds since the epoch."""
    return max(p.stat().st_mtime for p in project.rglob("*") if p.suffix in SUFFIXES)


def prepared_project(brand: Brand) -> DbtProject:
    """The project, its manifest parsed anew for the brand if any source of it is younger.

    Raises:
        HuitouError: dbt cannot parse the project; its own words follow.
    """
    target = brand.root / "dbt" / "target"
    manifest = target / "manifest.json"
    if not manifest.exists() or manifest.stat().st_mtime < newest_change(DBT_PROJECT):
        _parse(brand, target)
    return DbtProject(project_dir=DBT_PROJECT, profiles_dir=DBT_PROJECT, target_path=target)


def _parse(brand: Brand, target: Path) -> None:
    """Parse into a folder of this process, then put what came of it in place in two moves."""
    target.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=target.parent, prefix="parse-") as folder:
        options = {
            "--project-dir": DBT_PROJECT,
            "--profiles-dir": DBT_PROJECT,
            "--target-path": folder,
            "--log-path": folder,
            "--vars": dbt_vars(brand),
        }
        words = [str(word) for option in options.items() for word in option]
        done = subprocess.run(  # noqa: S603  # fixed words, our own executable
            [dbt_executable(), "--quiet", "parse", *words],
            env={**os.environ, "HUITOU_ROOT": str(brand.root)},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            message = f"dbt cannot parse {DBT_PROJECT.name}:\n{done.stdout}{done.stderr}"
            raise HuitouError(message, "mend the model that dbt names")
        for name in ("partial_parse.msgpack", "manifest.json"):
            Path(folder, name).replace(target / name)
