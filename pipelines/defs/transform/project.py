"""The dbt project as Dagster sees it: where its target lies, and a manifest that is never stale."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from dagster_dbt import DbtCliResource, DbtProject
from dbt.version import __version__ as dbt_version
from packaging.version import Version

from pipelines.core.errors import HuitouError
from pipelines.core.home import DBT_PROJECT, Brand
from pipelines.defs.transform.parsing import is_fresh, parse, parse_options, target_of
from pipelines.defs.transform.warm import is_parsed


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
    """The `huitou-dbt` of this environment, whether or not its folder is on the path."""
    return str(Path(sys.executable).parent / "huitou-dbt")


def prepared_project(brand: Brand) -> DbtProject:
    """The project, its manifest parsed anew for the brand if its sources are others now.

    Raises:
        HuitouError: dbt cannot parse the project; its own words follow.
    """
    if not is_fresh(brand) and not is_parsed():
        _parse(brand)
    return DbtProject(
        project_dir=DBT_PROJECT, profiles_dir=DBT_PROJECT, target_path=target_of(brand)
    )


def _parse(brand: Brand) -> None:
    def dbt(words: list[str]) -> bool:
        done = subprocess.run(  # noqa: S603  # fixed words, our own executable
            [dbt_executable(), *words],
            env={**os.environ, "HUITOU_ROOT": str(brand.root)},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            message = f"dbt cannot parse {DBT_PROJECT.name}:\n{done.stdout}{done.stderr}"
            raise HuitouError(message, "mend the model that dbt names")
        return True

    parse(target_of(brand), parse_options(brand), dbt)
