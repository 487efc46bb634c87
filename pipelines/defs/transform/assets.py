"""The dbt models as assets: the warehouse, then, once members are scored, tags and features."""

import os
from collections.abc import Iterator, Mapping
from typing import Any

import dagster as dg
from dagster_dbt import (
    DagsterDbtTranslator,
    DagsterDbtTranslatorSettings,
    DbtCliResource,
    dbt_assets,
)

from pipelines.defs.run import (
    DAYS,
    OWNERS,
    BrandResource,
    current_brand,
    dbt_environment,
    dbt_vars,
    instants,
)
from pipelines.defs.transform.project import prepared_project

PROJECT = prepared_project(current_brand())
#: What reads the scores, and the features; everything else is built before scoring.
AFTER_SCORING = "source:scores+ path:models/features"


class Translator(DagsterDbtTranslator):  # type: ignore[misc]  # the library has no types
    """Keys are `[layer, model]`; groups are the layers."""

    def __init__(self) -> None:
        super().__init__(DagsterDbtTranslatorSettings(enable_source_tests_as_checks=True))

    def get_asset_spec(
        self, manifest: Mapping[str, Any], unique_id: str, project: Any
    ) -> dg.AssetSpec:
        """dbt's own spec with our key, group and owners."""
        spec: dg.AssetSpec = super().get_asset_spec(manifest, unique_id, project)
        node = manifest["nodes"].get(unique_id)
        if node is None or node["resource_type"] not in {"model", "seed"}:
            return spec
        layer = node["fqn"][1]
        return spec.replace_attributes(
            key=dg.AssetKey([layer, node["name"]]), group_name=layer, owners=OWNERS
        )


def build(
    context: dg.AssetExecutionContext, dbt: DbtCliResource, huitou: BrandResource
) -> Iterator[Any]:
    """Build and test the selected models for the run's instants; unit tests are for the gate."""
    brand = huitou.brand
    # dbt inherits these; the target path is where dagster-dbt looks for what is parsed already
    os.environ.update(dbt_environment(instants(context, brand), brand))
    os.environ["DBT_TARGET_PATH"] = str(PROJECT.target_path)
    words = ["build", "--exclude-resource-type", "unit_test", "--vars", dbt_vars(brand)]
    target = brand.root / "dbt" / context.op_def.name
    yield from dbt.cli(words, context=context, target_path=target).stream()


@dbt_assets(  # type: ignore[untyped-decorator]  # the library has no types
    manifest=PROJECT.manifest_path,
    project=PROJECT,
    dagster_dbt_translator=Translator(),
    exclude=AFTER_SCORING,
    partitions_def=DAYS,
    backfill_policy=dg.BackfillPolicy.single_run(),
    pool="warehouse",
    name="warehouse",
)
def warehouse(
    context: dg.AssetExecutionContext, dbt: DbtCliResource, huitou: BrandResource
) -> Iterator[Any]:
    """Staging, intermediate models and marts."""
    yield from build(context, dbt, huitou)


@dbt_assets(  # type: ignore[untyped-decorator]  # the library has no types
    manifest=PROJECT.manifest_path,
    project=PROJECT,
    dagster_dbt_translator=Translator(),
    select=AFTER_SCORING,
    partitions_def=DAYS,
    backfill_policy=dg.BackfillPolicy.single_run(),
    pool="warehouse",
    name="features",
)
def features(
    context: dg.AssetExecutionContext, dbt: DbtCliResource, huitou: BrandResource
) -> Iterator[Any]:
    """Tags and the other marts that need scores, and the feature models, one a Feast view."""
    yield from build(context, dbt, huitou)
