"""The command line: names, options and exit codes; each command's work stands in its module."""

from __future__ import annotations

import sys
import warnings

import typer
from rich.console import Console

from pipelines.core.errors import HuitouError

#: The exit code of what Ctrl-C ended: 128 and the signal's number.
INTERRUPTED = 130
#: The exit code of a disk that took no more: that of a run that failed.
DISK_REFUSED = 4
#: How the system, SQLite and DuckDB say so; libraries wrap it in errors of their own.
DISK_WORDS = (
    "No space left on device",
    "Disk quota exceeded",
    "Read-only file system",
    "database or disk is full",
    "disk I/O error",
    "attempt to write a readonly database",
)

app = typer.Typer(
    name="huitou",
    help="Huitou 回頭: orders, survey answers and coupon redemptions in; tags and churn risk out.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)


def main() -> None:
    """Run the command; errors with a remedy go to stderr, each class with its exit code."""
    warnings.filterwarnings("ignore")  # what libraries say to developers is shown by the tests
    errors = Console(stderr=True, highlight=False, soft_wrap=True)
    try:
        from pipelines.cli import commands  # takes a second, in which one may think better of it

        commands.register(app)
        app()
    except HuitouError as error:
        errors.print(f"error: {error.message}", style="red", markup=False)
        if error.remedy:
            errors.print(f"remedy: {error.remedy}", markup=False)
        sys.exit(DISK_REFUSED if refused_by_disk(error) else error.exit_code)
    except (KeyboardInterrupt, SystemExit) as ended:  # typer turns the first into the second
        if isinstance(ended, SystemExit) and ended.code != INTERRUPTED:
            raise
        errors.print("stopped; nothing half-done is served")
        sys.exit(INTERRUPTED)
    except Exception as error:
        cause = refused_by_disk(error)
        if not cause and not isinstance(error, OSError):
            raise
        errors.print(f"error: {cause or error}", style="red", markup=False)
        errors.print("remedy: check the path, its permissions and the free space", markup=False)
        sys.exit(DISK_REFUSED if cause else 1)


def refused_by_disk(error: BaseException | None) -> BaseException | None:
    """The innermost of the error and what it came from that tells of a disk that takes no more."""
    found = None
    while error:
        if any(words in str(error) for words in DISK_WORDS):
            found = error
        error = error.__cause__ or error.__context__
    return found
