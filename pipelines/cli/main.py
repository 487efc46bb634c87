"""The command line: names, options and exit codes; each command's work stands in its module."""

from __future__ import annotations

import sys
import warnings

import typer
from rich.console import Console

from pipelines.core.errors import HuitouError

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
    from pipelines.cli import commands

    warnings.filterwarnings("ignore")  # what libraries say to developers is shown by the tests
    commands.register(app)
    errors = Console(stderr=True, highlight=False, soft_wrap=True)
    try:
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
    except KeyboardInterrupt:
        errors.print("stopped; nothing half-done is served")
        sys.exit(130)
