"""The resources of every run: the brand's folder and dbt's command line."""

from __future__ import annotations

import dagster as dg

from pipelines.defs.run import BrandResource, current_brand
from pipelines.defs.transform.assets import PROJECT
from pipelines.defs.transform.project import Dbt, dbt_executable


@dg.definitions
def resources() -> dg.Definitions:
    """Nothing connects here; the folders are those of the current brand."""
    return dg.Definitions(
        resources={
            "huitou": BrandResource(root=str(current_brand().root)),
            "dbt": Dbt(project_dir=PROJECT, dbt_executable=dbt_executable()),
        }
    )
