"""Ctrl-C: one line, its exit code, and the same command goes on from there."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Huitou = Callable[..., subprocess.CompletedProcess[str]]
pytestmark = pytest.mark.e2e

#: Starts a command as a terminal does; one that runs in the background ignores Ctrl-C.
HEEDING = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execv(sys.argv[1], sys.argv[1:])
"""
SMALL = ("demo", "--members", "200", "--days", "60")


def interrupted(home: Path, last_words: str) -> tuple[int, str]:
    """Exit code and output of a small demo to whose terminal Ctrl-C is typed after these words."""
    running = subprocess.Popen(
        [sys.executable, "-c", HEEDING, Path(sys.executable).parent / "huitou", *SMALL],
        env={**os.environ, "HUITOU_HOME": str(home), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    assert running.stdout
    said = []
    for line in running.stdout:
        said.append(line)
        if last_words in line:
            os.killpg(running.pid, signal.SIGINT)
    return running.wait(timeout=60), "".join(said)


@pytest.mark.parametrize("last_words", ["demo nightly", "raw.surveys "], ids=["ingest", "dbt"])
def test_a_run_that_is_stopped_says_so_and_can_be_run_again(home: Path, last_words: str) -> None:
    code, said = interrupted(home, last_words)
    assert code == 130, said
    assert "stopped; nothing half-done is served\n" in said
    assert "the run failed" not in said


def test_the_next_run_goes_on_from_there(huitou: Huitou) -> None:
    said = huitou(*SMALL).stdout
    assert "the shop is there" in said
    assert "accounted for" in said
