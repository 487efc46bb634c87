"""What `--help` says: an example of every command, and the names that are to be given."""

from __future__ import annotations

import click
import pytest
import typer
from typer.testing import CliRunner

from pipelines.adapters import ADAPTERS
from pipelines.cli.commands import register


def application() -> typer.Typer:
    app = typer.Typer()
    register(app)
    return app


def leaves(command: click.Command, path: tuple[str, ...] = ()) -> dict[str, click.Command]:
    """Every command that does something, by its words."""
    subcommands: dict[str, click.Command] = getattr(command, "commands", {})
    if not subcommands:
        return {" ".join(path): command}
    return {
        words: leaf
        for name, sub in subcommands.items()
        for words, leaf in leaves(sub, (*path, name)).items()
    }


COMMANDS = leaves(typer.main.get_command(application()))


@pytest.mark.parametrize("words", COMMANDS)
def test_every_command_shows_an_example_of_itself(words: str) -> None:
    assert f"huitou {words}" in (COMMANDS[words].help or "")


def test_the_help_of_run_names_the_adapters() -> None:
    shown = CliRunner().invoke(application(), ["run", "--help"]).stdout
    for name in ADAPTERS:
        assert name in shown
