"""The dbt models as assets: the warehouse, then, once members are scored, tags and features."""

import os
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_dbt import (
    DagsterDbtTranslator,
    DagsterDbtTranslatorSettings,
    DbtCliResource,
    dbt_assets,
)

from pipelines.core.files import read_json
from pipelines.defs.run import (
    DAYS,
    OWNERS,
    BrandResource,
    current_brand,
    dbt_environment,
    instants,
)
from pipelines.defs.transform.parsing import dbt_vars
from pipelines.defs.transform.project import prepared_project

PROJECT = prepared_project(current_brand())
#: What reads the scores, and the features; everything else is built before scoring.
AFTER_SCORING = "source:scores+ path:models/features"
#: Where dagster-dbt notes the dbt name of a check.
DBT_NAME = "dagster_dbt/unique_id"
#: What dbt says of a node that went well; exposures are never built.
GOOD = ("success", "pass", "warn")


def _is_of_a_view(check: dg.AssetCheckKey) -> bool:
    return check.asset_key.path[0] == "features"


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

    def get_asset_check_spec(
        self, asset_spec: dg.AssetSpec, manifest: Mapping[str, Any], unique_id: str, project: Any
    ) -> dg.AssetCheckSpec | None:
        """dbt's own spec; a failed check of a feature model stops its view alone, not the run."""
        spec: dg.AssetCheckSpec | None = super().get_asset_check_spec(
            asset_spec, manifest, unique_id, project
        )
        return spec._replace(blocking=False) if spec and _is_of_a_view(spec.key) else spec


def build(
    context: dg.AssetExecutionContext,
    dbt: DbtCliResource,
    huitou: BrandResource,
    excused: Collection[str] = (),
) -> Iterator[Any]:
    """Build and test the selected models for the run's instants; unit tests are for the gate.

    Whatever fails fails the step, but for the tests of `excused`, by their dbt names.
    """
    brand = huitou.brand
    # dbt inherits these; the target path is where dagster-dbt looks for what is parsed already
    os.environ.update(dbt_environment(instants(context, brand), brand))
    os.environ["DBT_TARGET_PATH"] = str(PROJECT.target_path)
    words = ["build", "--exclude-resource-type", "unit_test", "--vars", dbt_vars(brand)]
    if not excused:
        words.append("--no-write-json")  # nobody reads them, and dbt takes seconds over them
    target = brand.root / "dbt" / context.op_def.name
    results = target / "run_results.json"
    results.unlink(missing_ok=True)  # what the build before left says nothing of this one
    invocation = dbt.cli(words, context=context, target_path=target, raise_on_error=not excused)
    yield from invocation.stream()
    if not invocation.is_successful() and not _failed(results) <= set(excused):
        error = invocation.get_error()
        assert error is not None  # noqa: S101  # it was not successful
        raise error


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
    excused = {spec.metadata[DBT_NAME] for spec in features.check_specs if _is_of_a_view(spec.key)}
    yield from build(context, dbt, huitou, excused)


def failed_checks(instance: dg.DagsterInstance) -> dict[str, list[str]]:
    """The feature views whose latest checks failed, with the names of those checks."""
    failed: dict[str, list[str]] = {}
    for key in sorted(filter(_is_of_a_view, features.check_keys)):
        record = instance.get_latest_asset_check_evaluation_record(key)
        found = record.evaluation if record else None
        if found and not found.passed and found.severity == dg.AssetCheckSeverity.ERROR:
            failed.setdefault(key.asset_key.path[-1], []).append(key.name)
    return failed


def _failed(results: Path) -> set[str]:
    """The dbt names of what did not succeed; one that nobody excuses if dbt did not come so far."""
    if not results.exists():
        return {"dbt"}
    return {
        one["unique_id"]
        for one in read_json(results)["results"]
        if one["status"] not in GOOD and not one["unique_id"].startswith("exposure.")
    }
