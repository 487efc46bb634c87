"""Runs of the Dagster jobs in this process, with progress a person can read.

The jobs themselves are those that `dagster dev` shows; nothing is done here that they don't do.
"""

from __future__ import annotations

import fcntl
import gc
import io
import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from rich.console import Console

from pipelines.core import quarantine
from pipelines.core.errors import HuitouError
from pipelines.core.files import write_text
from pipelines.core.home import Brand, Home
from pipelines.core.ingest import UnreadError

if TYPE_CHECKING:
    import dagster as dg

DAGSTER_YAML = """\
nux:
  enabled: false
telemetry:
  enabled: false
concurrency:
  pools:
    default_limit: 1
event_log_storage:
  module: pipelines.defs.ops.event_log
  class: EventLog
  config:
    dagster_home:
      env: DAGSTER_HOME
"""
#: Dagster's own console log would drown the progress; everything is in the instance all the same.
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
#: Marks runs of these commands, as against those that `dagster dev` starts.
HERE_TAG = "huitou/command"
#: What Dagster makes of Ctrl-C in a step.
INTERRUPTION = "DagsterExecutionInterruptedError"
#: How the steps begin that load a table.
RAW_STEP = "raw__"
RANGE_START, RANGE_END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"


class RunError(HuitouError):
    """A run that did not end well; the failed steps and checks are named in the message."""

    exit_code = 4


@dataclass
class Outcome:
    """What a run did, in the terms that are printed."""

    run_id: str
    checks_passed: int = 0
    checks_warned: list[str] = field(default_factory=list)
    #: Integer metadata of each materialized asset, by its key.
    counts: dict[tuple[str, ...], dict[str, int]] = field(default_factory=dict)
    #: Text metadata of each materialized asset, by its key.
    words: dict[tuple[str, ...], dict[str, str]] = field(default_factory=dict)


def use_brand(home: Home, brand: Brand, *, choose: bool = True) -> None:
    """Point this process, and the dbt and Feast it starts, at `brand`; commands to come too."""
    brand.root.mkdir(parents=True, exist_ok=True)
    brand.root.chmod(0o700)  # members' data lies below
    if choose:
        home.choose(brand)
    os.environ.update(
        HUITOU_HOME=str(home.root),
        HUITOU_BRAND=brand.name,
        HUITOU_ROOT=str(brand.root),
        HUITOU_PROJECT=brand.project,
        DAGSTER_HOME=str(brand.dagster_home),
        DO_NOT_TRACK="1",
        DBT_SEND_ANONYMOUS_USAGE_STATS="false",
        DAGSTER_DISABLE_TELEMETRY="1",
        FEAST_USAGE="False",
    )
    settings = brand.dagster_home / "dagster.yaml"
    if not settings.exists():
        write_text(settings, DAGSTER_YAML)


@contextmanager
def warm(brand: Brand) -> Iterator[None]:
    """Let dbt get ready for the builds of the block while the block does something else."""
    from pipelines.defs.transform.parsing import is_fresh, parse_options, target_of
    from pipelines.defs.transform.warm import warm_dbt

    words = [*parse_options(brand), *(["--no-write-json"] if is_fresh(brand) else [])]
    with warm_dbt(target_of(brand), words):
        yield


@contextmanager
def applied_meanwhile(brand: Brand) -> Iterator[None]:
    """Let Feast write a new brand's registry, which takes it seconds, while the block runs.

    The step of a run that needs the registry waits for it.
    """
    from pipelines.online import feast_repo

    with ThreadPoolExecutor(1) as pool:
        begun = pool.submit(feast_repo.apply, brand)
        yield
        begun.result()


class Progress:
    """Prints one line a finished step, with its seconds."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.started: dict[str, float] = {}

    def __call__(self, entry: dg.EventLogEntry) -> None:
        """Print what a Dagster event means to the person who waits."""
        event = entry.dagster_event
        if event is None or not event.step_key:
            return
        step = event.step_key.replace("__", ".")
        if event.is_step_start:
            self.started[step] = time.monotonic()
        elif event.is_step_success or event.is_step_failure:
            mark = "[green]✓[/]" if event.is_step_success else "[red]✗[/]"
            seconds = time.monotonic() - self.started.get(step, time.monotonic())
            self.console.print(f"  {mark} {step:<28} {seconds:6.1f} s")


def execute(job: str, first: date, last: date, known_at: str | None, console: Console) -> Outcome:
    """Run `job` for the landing days `first` to `last` as one run.

    Raises:
        RunError: a step or a blocking check failed; what was served before is still served.
        KeyboardInterrupt: it was stopped by that.
    """
    import dagster as dg

    from pipelines.defs.run import KNOWN_AT_TAG

    tags = {RANGE_START: first.isoformat(), RANGE_END: last.isoformat(), HERE_TAG: "yes"}
    if known_at:
        tags[KNOWN_AT_TAG] = known_at
    run_id = str(uuid4())
    shown = Console(file=console.file)  # dbt writes to stdout, which is silenced meanwhile
    with _alone(), dg.DagsterInstance.get() as instance, redirect_stdout(io.StringIO()):
        _bury_the_dead(instance)
        instance.add_event_listener(run_id, Progress(shown))
        result = (
            definitions()
            .resolve_job_def(job)
            .execute_in_process(
                run_id=run_id,
                instance=instance,
                tags=tags,
                run_config=QUIET,
                raise_on_error=False,
            )
        )
    return _outcome(result)


@contextmanager
def _alone() -> Iterator[None]:
    """Hold the brand's run lock; the system lets go of it even if this process is killed.

    Raises:
        RunError: another command runs this brand now.
    """
    with Path(os.environ["DAGSTER_HOME"], "run.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            message = "another command is running this brand"
            raise RunError(message, "wait until it has ended, then run again") from None
        yield


def _bury_the_dead(instance: dg.DagsterInstance) -> None:
    """Runs of a command that was killed are failed, and what they held is free again."""
    import dagster as dg

    begun = [dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.STARTING]
    for run in instance.get_runs(dg.RunsFilter(statuses=begun, tags={HERE_TAG: "yes"})):
        instance.report_run_failed(run, "its process was killed")
        instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)


@cache
def definitions() -> dg.Definitions:
    """The code location, for the brand in use; loaded once a process, for it takes seconds."""
    from pipelines.definitions import defs

    gc.set_threshold(50_000, 20, 50)  # Dagster's objects are many and stay
    return defs()


def _outcome(result: dg.ExecuteInProcessResult) -> Outcome:
    outcome = Outcome(result.run_id)
    failed = []
    for check in result.get_asset_check_evaluations():
        name = f"{check.asset_key.to_user_string()}: {check.check_name}"
        if check.passed:
            outcome.checks_passed += 1
        elif check.severity.value == "WARN":
            outcome.checks_warned.append(name)
        else:
            failed.append(name)
    for event in result.get_asset_materialization_events():
        made = event.step_materialization_data.materialization
        outcome.counts[tuple(made.asset_key.path)] = {
            name: entry.value
            for name, entry in made.metadata.items()
            if isinstance(entry.value, int) and not isinstance(entry.value, bool)
        }
        outcome.words[tuple(made.asset_key.path)] = {
            name: entry.value
            for name, entry in made.metadata.items()
            if isinstance(entry.value, str)
        }
    causes = [_first_cause(event) for event in result.all_events if event.is_step_failure]
    if any(words.endswith(INTERRUPTION) for _, _, words in causes):
        raise KeyboardInterrupt
    failed += _unread([step for step, kind, _ in causes if kind == UnreadError.__name__])
    failed += [f"{step}: {words}" for step, kind, words in causes if kind != UnreadError.__name__]
    if failed or not result.success:
        message = "the run failed; what was served before is still served\n    " + "\n    ".join(
            dict.fromkeys(failed)
        )
        raise RunError(message, "mend the cause above and run the same command again")
    return outcome


def _unread(steps: list[str]) -> list[str]:
    """What the steps of tables say that failed for want of readable files: each file once."""
    if not steps:
        return []
    tables = {step.removeprefix(RAW_STEP) for step in steps}
    unread = quarantine.files_of_last_loads(Brand(Path(os.environ["HUITOU_ROOT"])), tables)
    return ["landing files that cannot be read:", *(f"  {n}" for n in quarantine.lines(unread))]


def _first_cause(event: dg.DagsterEvent) -> tuple[str, str, str]:
    """The innermost error of a failed step: the step, the error's class and its own words."""
    error = event.step_failure_data.error
    while error and error.cause:
        error = error.cause
    words = error.message.strip() if error else event.message or ""
    return event.step_key or "", (error.cls_name or "") if error else "", words
