"""`huitou shop`: the synthetic shop, as landing files of a believable brand."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from pipelines.cli import options
