"""Versions of the model as files: written once, hashed, chosen by a pointer.

A version is a folder with `model.json`, the trees as LightGBM's text, the card and its plot, and
`manifest.json` with the hash of each, written last. Nothing is ever unpickled.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import tempfile
from dataclasses import asdict
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.core.churn.btyd import ParetoNBD
from pipelines.core.churn.card import calibration_plot
from pipelines.core.churn.curve import Curve
from pipelines.core.churn.explain import Reading
from pipelines.core.churn.extras import Encoder
from pipelines.core.churn.history import EPOCH
from pipelines.core.churn.linear import Correction
from pipelines.core.churn.model import ChurnModel
from pipelines.core.churn.ranker import Ranker
from pipelines.core.churn.season import Observed
from pipelines.core.churn.spend import Spend
from pipelines.core.churn.trees import Trees
from pipelines.core.errors import HuitouError, UsageError
from pipelines.core.files import read_json, sha256, write_json, write_text

FORMAT = 1
MODEL, WITH_TREES, TREES_ALONE = "model.json", "with_trees.txt", "trees_alone.txt"
PARTS = (MODEL, WITH_TREES, TREES_ALONE)
#: What stands for the hazard table where a version is asked for.
HEURISTIC = "heuristic"
CARD, PLOT, MANIFEST, CURRENT = "card.json", "calibration.svg", "manifest.json", "current.json"
#: The last day that a version knows of, and what it holds, as a hash.
NAME = re.compile(r"\d{4}-\d\d-\d\d-[0-9a-f]{8}")
REMEDY = "choose another with `huitou model use`, or train anew"


class ModelError(HuitouError):
    """A version that is not what was written, or that this release cannot read."""


def save(model: ChurnModel, card: dict[str, Any], root: Path) -> str:
    """Write a version below `root` and return its name: the day it was trained, and its hash.

    The same model again is the same version; its first card stays. A version that was damaged since
    is written anew.
    """
    root.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=root, prefix=".writing-"))
    try:
        write_json(folder / MODEL, _to_json(model))
        write_text(folder / WITH_TREES, model.ranker.with_trees.text)
        write_text(folder / TREES_ALONE, model.ranker.trees_alone.text)
        day = (EPOCH + timedelta(days=model.cutoff)).isoformat()
        version = f"{day}-{_content(folder)}"
        write_json(folder / CARD, {"version": version, **card})
        plot = calibration_plot(card.get("backtest", {}).get("calibration", []))
        write_text(folder / PLOT, plot)
        files = {path.name: sha256(path) for path in sorted(folder.iterdir())}
        write_json(folder / MANIFEST, {"format": FORMAT, "version": version, "files": files})
        if not _is_whole(root, version):
            shutil.rmtree(root / version, ignore_errors=True)
            folder.rename(root / version)
        return version
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def versions(root: Path) -> list[str]:
    """The versions below `root`, oldest first."""
    found = (path.parent.name for path in root.glob(f"*/{MANIFEST}"))
    return sorted(name for name in found if NAME.fullmatch(name))


def load(root: Path, version: str, threads: int = 2) -> ChurnModel:
    """The model of a version.

    Raises:
        UsageError: there is no such version.
        ModelError: a file is missing or not the one that was written.
    """
    folder = _folder(root, version)
    made = _verify(folder, version)
    if made != FORMAT:
        message = f"model {version} is of format {made}, this release reads {FORMAT}"
        raise ModelError(message, "train a model with this release")
    texts = [(folder / name).read_text(encoding="utf-8") for name in (WITH_TREES, TREES_ALONE)]
    return _from_json(read_json(folder / MODEL), texts, threads)


def card_of(root: Path, version: str) -> dict[str, Any]:
    """The card of a version.

    Raises:
        UsageError: there is no such version.
    """
    found: dict[str, Any] = _read(_folder(root, version) / CARD)
    return found


def use(root: Path, version: str) -> None:
    """Serve a version, or the hazard table as `HEURISTIC`, from the next score on.

    The way back is the same call.

    Raises:
        UsageError: there is no such version.
        ModelError: a file of it is missing or not the one that was written.
    """
    if version == HEURISTIC:
        (root / CURRENT).unlink(missing_ok=True)
        return
    load(root, version)
    write_json(root / CURRENT, {"version": version})


def served(root: Path) -> str | None:
    """The version in use; None while the hazard table serves.

    Raises:
        ModelError: what says so cannot be read.
    """
    pointer = root / CURRENT
    if not pointer.exists():
        return None
    version = _read(pointer).get("version")
    if not isinstance(version, str) or not NAME.fullmatch(version):
        message = f"{pointer} names no version"
        raise ModelError(message, REMEDY)
    return version


def served_on(root: Path, day: date) -> str | None:
    """What scores a day: the version in use, or the newest promoted one that knew no later day.

    None for the hazard table.

    Raises:
        ModelError: what is in use, or a card, cannot be read.
    """
    current = served(root)
    if current is None or trained_on(current) <= day:
        return current
    then = [version for version in versions(root) if trained_on(version) <= day]
    promoted = [version for version in then if _was_promoted(root, version)]
    return promoted[-1] if promoted else None


def trained_on(version: str) -> date:
    """The last day that a version knows of."""
    return date.fromisoformat(version.rpartition("-")[0])


def _was_promoted(root: Path, version: str) -> bool:
    return bool(card_of(root, version).get("verdict", {}).get("promoted"))


def _read(path: Path) -> dict[str, Any]:
    try:
        found = read_json(path)
    except (OSError, ValueError) as error:
        found = error
    if not isinstance(found, dict):
        message = f"{path} cannot be read"
        raise ModelError(message, REMEDY)
    return found


def _is_whole(root: Path, version: str) -> bool:
    """Whether the version stands there as it was written."""
    try:
        _verify(root / version, version)
    except ModelError:
        return False
    return True


def _verify(folder: Path, version: str) -> object:
    """The format of a version's files, all of them as they were written."""
    manifest = _read(folder / MANIFEST)
    for name in (*PARTS, CARD, PLOT):
        written = manifest.get("files", {}).get(name)
        if not (folder / name).is_file() or sha256(folder / name) != written:
            message = f"{name} of model {version} is not the file that was written"
            raise ModelError(message, REMEDY)
    if not version.endswith(f"-{_content(folder)}"):
        message = f"model {version} does not hold what its name says"
        raise ModelError(message, REMEDY)
    return manifest.get("format")


def _content(folder: Path) -> str:
    """The hash of what scores, as a version's name has it."""
    parts = "".join(sha256(folder / name) for name in PARTS)
    return hashlib.sha256(parts.encode()).hexdigest()[:8]


def _folder(root: Path, version: str) -> Path:
    known = versions(root)
    if version not in known:
        message = f"no model version {version!r}"
        remedy = f"one of {', '.join([HEURISTIC, *known])}; `huitou model train` makes another"
        raise UsageError(message, remedy)
    return root / version


def _to_json(model: ChurnModel) -> dict[str, Any]:
    ranker = model.ranker
    return {
        "cutoff": model.cutoff,
        "start": model.start,
        "cutoffs": list(model.cutoffs),
        "rows": model.rows,
        "btyd": asdict(ranker.btyd),
        "correction": {name: values.tolist() for name, values in vars(ranker.correction).items()},
        "features": list(ranker.trees_alone.names),
        "encoder": ranker.encoder.to_json(),
        "observed": [asdict(each) for each in model.observed],
        "curve": {"cycle": model.curve.cycle, "ratio": model.curve.ratio.tolist()},
        "spend": asdict(model.spend),
        "reading": model.reading.to_json(),
    }


def _from_json(value: dict[str, Any], texts: list[str], threads: int) -> ChurnModel:
    names = tuple(value["features"])
    with_trees, trees_alone = (Trees(text, names) for text in texts)
    ranker = Ranker(
        btyd=ParetoNBD(**value["btyd"]),
        correction=Correction(**{k: np.array(v) for k, v in value["correction"].items()}),
        with_trees=with_trees,
        trees_alone=trees_alone,
        encoder=Encoder.from_json(value["encoder"]),
        threads=threads,
    )
    return ChurnModel(
        cutoff=value["cutoff"],
        start=value["start"],
        cutoffs=tuple(value["cutoffs"]),
        rows=value["rows"],
        ranker=ranker,
        observed=tuple(Observed(**each) for each in value["observed"]),
        curve=Curve(value["curve"]["cycle"], np.array(value["curve"]["ratio"])),
        spend=Spend(**value["spend"]),
        reading=Reading.from_json(value["reading"]),
    )
