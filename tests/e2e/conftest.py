"""The product as a user runs it: the `huitou` command, a home of its own, real everything."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Huitou = Callable[..., subprocess.CompletedProcess[str]]


def command(home: Path) -> Huitou:
    """The `huitou` of this environment, with everything it writes below `home`."""
    huitou = Path(sys.executable).parent / "huitou"
    environment = {**os.environ, "HUITOU_HOME": str(home), "COLUMNS": "200", "NO_COLOR": "1"}
    for name in ("HUITOU_BRAND", "HUITOU_ONLINE_STORE", "HUITOU_ROOT"):
        environment.pop(name, None)

    def run(*words: str, exit_code: int = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [huitou, *words], env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == exit_code, f"{words}\n{done.stdout}\n{done.stderr}"
        return done

    return run


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def huitou(home: Path) -> Huitou:
    return command(home)
