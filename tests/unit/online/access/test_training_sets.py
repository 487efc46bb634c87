"""Training sets that are kept, and members who are erased."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.core.errors import UsageError
from pipelines.core.files import sha256
from pipelines.core.home import Brand
from pipelines.online.access.erasures import digest, erase_online, erasures_path
from pipelines.online.training_sets import LEFT_SECONDS, PROVENANCE, provenance, save


@pytest.fixture
def brand(tmp_path: Path) -> Brand:
    """Two sets: one with `anna` twice and `bao`, one of `bao` alone."""
    found = Brand(tmp_path / "shop")
    for name, members in (("one", ["anna", "bao", "anna"]), ("two", ["bao"])):
        story = json.dumps({"service": "s", "rows": len(members)})
        table = pa.table({"member_id": members, "n": range(len(members))})
        save(table.replace_schema_metadata({PROVENANCE: story}), kept(found, name))
    return found


def kept(brand: Brand, name: str) -> Path:
    return brand.training_sets / f"{name}.parquet"


def test_the_rows_of_an_erased_member_leave_every_set_and_the_sets_say_so(brand: Brand) -> None:
    before = kept(brand, "two").read_bytes()
    erase_online(brand, ["anna"])
    one = pq.read_table(kept(brand, "one"))
    assert one.to_pydict() == {"member_id": ["bao"], "n": [1]}
    told = json.loads((brand.training_sets / "one.parquet.json").read_text(encoding="utf-8"))
    assert told == {"service": "s", "rows": 1, "erased": 2, "sha256": sha256(kept(brand, "one"))}
    assert provenance(one) == {"service": "s", "rows": 1, "erased": 2}
    assert kept(brand, "two").read_bytes() == before
    assert b"anna" not in kept(brand, "one").read_bytes()


def test_an_erasure_that_was_broken_off_is_finished_by_the_next_call(brand: Brand) -> None:
    erasures_path(brand).parent.mkdir()
    erasures_path(brand).write_text(digest("bao") + "\n", encoding="utf-8")
    assert erase_online(brand, ["bao"]) == 0
    assert pq.read_table(kept(brand, "one"))["member_id"].to_pylist() == ["anna", "anna"]
    assert pq.read_table(kept(brand, "two")).num_rows == 0
    told = json.loads((brand.training_sets / "two.parquet.json").read_text(encoding="utf-8"))
    assert (told["rows"], told["erased"]) == (0, 1)


def test_what_a_killed_retraining_left_half_written_goes_with_the_next_erasure(
    brand: Brand,
) -> None:
    old, young = (brand.training_sets / f".{name}.parquet.x.tmp" for name in ("old", "young"))
    for left in (old, young):
        left.write_bytes(kept(brand, "one").read_bytes())
    os.utime(old, (time.time() - LEFT_SECONDS,) * 2)
    erase_online(brand, ["nobody"])
    assert not old.exists()
    assert young.exists()  # a retraining may be writing it


def test_a_set_that_cannot_be_read_is_named_and_keeps_no_other_from_forgetting(
    brand: Brand,
) -> None:
    kept(brand, "a").write_bytes(b"PAR1")
    save_of_others = pa.table({"n": [1]}).replace_schema_metadata({PROVENANCE: "{}"})
    save(save_of_others, kept(brand, "b"))
    with pytest.raises(UsageError, match=r"a\.parquet.*b\.parquet"):
        erase_online(brand, ["anna"])
    assert pq.read_table(kept(brand, "one"))["member_id"].to_pylist() == ["bao"]


def test_a_set_whose_story_was_not_written_any_more_is_told_anew(brand: Brand) -> None:
    story = brand.training_sets / "one.parquet.json"
    told = story.read_text(encoding="utf-8")
    for text in (None, "", told.replace(sha256(kept(brand, "one")), "0" * 64)):
        story.unlink()
        if text is not None:
            story.write_text(text, encoding="utf-8")
        erase_online(brand, ["nobody"])
        assert json.loads(story.read_text(encoding="utf-8"))["rows"] == 3
        assert json.loads(story.read_text(encoding="utf-8"))["sha256"] == sha256(kept(brand, "one"))


def test_a_member_of_no_set_is_erased_all_the_same(brand: Brand) -> None:
    assert erase_online(brand, ["nobody"]) == 1
    assert pq.read_table(kept(brand, "one")).num_rows == 3
