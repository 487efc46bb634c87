"""The command line: names, options and exit codes; each command's work stands in its module."""

from __future__ import annotations

import sys
import warnings

import typer
from rich.console import Console

from pipelines.core.errors import HuitouError

#: The exit code of what Ctrl-C ended: 128 and the signal's number.
INTERRUPTED = 130

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
        sys.exit(error.exit_code)
    except OSError as error:
        errors.print(f"error: {error}", style="red", markup=False)
        errors.print("remedy: check the path, its permissions and the free space", markup=False)
        sys.exit(1)
    except (KeyboardInterrupt, SystemExit) as ended:  # typer turns the first into the second
        if isinstance(ended, SystemExit) and ended.code != INTERRUPTED:
            raise
        errors.print("stopped; nothing half-done is served")
        sys.exit(INTERRUPTED)
