"""What the README says to write is what the product needs, from the folder it says."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from pipelines.core.home import REPOSITORY, Home


def test_the_feast_example_finds_the_registry_of_the_demo() -> None:
    """Feast looks for a relative registry below the folder of the settings, not where it runs."""
    page = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    example = re.search(r"```yaml\n# (app/feature_store\.yaml)\n(.*?)```", page, re.DOTALL)
    assert example
    settings, brand = yaml.safe_load(example[2]), Home(REPOSITORY / ".huitou").brand("demo")
    folder = (REPOSITORY / example[1]).parent
    assert Path(folder, settings["registry"]).resolve() == brand.registry
    assert settings["project"] == brand.project
