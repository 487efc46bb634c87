from __future__ import annotations

import gzip
import hashlib
import os
import subprocess
import sys
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest
from numpy._core._multiarray_umath import __cpu_dispatch__

from pipelines.core.errors import UsageError
from pipelines.core.shop import Dirt, ShopConfig, generate

SMALL = ShopConfig(
    members=120, days=75, seed=5, dirt=Dirt(0.02, 0.05, 0.05, 0.03), opening_share=0.9
)
#: SHA-256 over the files of SMALL, unpacked. It changes when the shop is meant to change, and
#: with a numpy that draws otherwise; on another machine or another day it must not.
EXPECTED = "8306191920633e33997133f10acb12d4df9555794a3c0fe60ea2fb33ddbe6851"


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("small")
    generate(SMALL, folder)
    return folder


def test_the_same_seed_writes_the_same_bytes(small: Path, tmp_path: Path) -> None:
    generate(SMALL, tmp_path)
    assert files(tmp_path / "landing") == files(small / "landing")
    assert files(tmp_path / "truth") == files(small / "truth")


def test_the_bytes_are_those_of_every_other_machine(small: Path) -> None:
    digest = hashlib.sha256()
    for name, packed in files(small / "landing").items():
        digest.update(name.encode() + gzip.decompress(packed))
    assert digest.hexdigest() == EXPECTED


def test_a_processor_that_rounds_otherwise_changes_nothing(small: Path, tmp_path: Path) -> None:
    """On an older processor numpy's `exp` and `log` differ in their last bits."""
    code = f"""
from pathlib import Path
from pipelines.core.shop import Dirt, ShopConfig, generate
from datetime import date
generate({SMALL!r}, Path({str(tmp_path)!r}))
"""
    older = {**os.environ, "NPY_DISABLE_CPU_FEATURES": " ".join(__cpu_dispatch__)}
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], env=older, check=True)
    assert files(tmp_path / "landing") == files(small / "landing")


def test_files_carry_no_time_and_no_name(small: Path) -> None:
    """Bytes 4 to 8 of a gzip file are the time, bit 3 of byte 3 says that a name follows."""
    for name, packed in files(small / "landing").items():
        assert packed[3:8] == b"\0" * 5, name


def test_another_seed_writes_another_shop(small: Path, tmp_path: Path) -> None:
    generate(replace(SMALL, seed=6), tmp_path)
    mine, other = files(small / "landing"), files(tmp_path / "landing")
    same = [name for name in mine if other.get(name) == mine[name]]
    assert {name.split("/")[1] for name in same} <= {
        "products.csv.gz", "coupon_templates.csv.gz", "surveys.csv.gz", "survey_questions.csv.gz",
    }  # fmt: skip


@pytest.mark.parametrize("days", [1, 13, 14, 40, 74])
def test_a_shorter_run_is_the_beginning_of_a_longer_one(
    small: Path, tmp_path: Path, days: int
) -> None:
    generate(replace(SMALL, days=days), tmp_path)
    short, long = files(tmp_path / "landing"), files(small / "landing")
    assert len({name.split("/")[0] for name in short}) <= days
    assert short == {name: long[name] for name in long if name in short}
    last = str(SMALL.first + timedelta(days=days - 1))
    assert {name for name in long if name.split("/")[0] <= last} == set(short)


def test_the_last_days_alone_are_those_of_the_whole_run(tmp_path: Path) -> None:
    """The longest wait is that of a product announced for the end of a quarter of 84 days."""
    config = ShopConfig(members=400, days=170, seed=8, dirt=Dirt(0.02, 0.3, 0.3, 0.02))
    since = config.first + timedelta(days=154)  # begins the last period of the second quarter
    generate(config, tmp_path / "all")
    report = generate(replace(config, write_from=since), tmp_path / "end")
    whole, end = files(tmp_path / "all" / "landing"), files(tmp_path / "end" / "landing")
    assert end == {name: whole[name] for name in whole if name[:10] >= str(since)}
    assert (report.days, report.first_day) == (16, since)
    members = "truth/members.parquet"
    assert (tmp_path / "all" / members).read_bytes() == (tmp_path / "end" / members).read_bytes()


def test_asking_for_more_days_adds_them_to_the_folder(small: Path, tmp_path: Path) -> None:
    generate(replace(SMALL, days=30), tmp_path)
    generate(replace(SMALL, write_from=SMALL.first + timedelta(days=30)), tmp_path)
    assert files(tmp_path / "landing") == files(small / "landing")


def test_another_shop_is_not_mixed_into_the_folder(small: Path) -> None:
    before = files(small)
    with pytest.raises(UsageError, match="another shop"):
        generate(replace(SMALL, members=121), small)
    assert files(small) == before


def test_files_that_no_shop_wrote_are_left_alone(tmp_path: Path) -> None:
    kept = tmp_path / "landing" / "2024-07-01" / "orders.csv"
    kept.parent.mkdir(parents=True)
    kept.write_text("mine")
    with pytest.raises(UsageError, match="no shop of ours"):
        generate(SMALL, tmp_path)
    assert kept.read_text() == "mine"


def test_a_day_stands_there_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that dies half-way leaves finished days only, and a second one finishes the shop."""

    def stop(done: int, _days: int) -> None:
        if done >= 42:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        generate(SMALL, tmp_path, stop)
    left = sorted(path.name for path in (tmp_path / "landing").iterdir())
    assert left == [str(SMALL.first + timedelta(days=i)) for i in range(len(left))]
    assert {path.name for path in tmp_path.iterdir()} <= {"landing", "truth", "shop.json"}
    assert not list((tmp_path / "truth").iterdir())
    whole = tmp_path / "whole"
    generate(SMALL, whole)
    generate(SMALL, tmp_path)
    assert files(tmp_path / "landing") == files(whole / "landing")


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"members": 0}, "members=0"),
        ({"days": 0}, "days=0"),
        ({"seed": -1}, "seed=-1"),
        ({"opening_share": 1.5}, "opening share"),
        ({"first_day": date(2009, 12, 31)}, "calendar"),
        ({"last_day": date(2040, 1, 1)}, "calendar"),
        ({"first_day": date(2024, 1, 1), "last_day": date(2025, 1, 1)}, "both"),
    ],
)
def test_what_cannot_be_a_shop_is_refused(wrong: dict[str, object], words: str) -> None:
    with pytest.raises(UsageError, match=words) as refused:
        ShopConfig(**wrong)  # type: ignore[arg-type]  # one wrong value at a time
    assert refused.value.remedy


@pytest.mark.parametrize("share", [-0.01, 0.31])
def test_dirt_is_a_share(share: float) -> None:
    with pytest.raises(UsageError, match="late"):
        Dirt(late=share)
