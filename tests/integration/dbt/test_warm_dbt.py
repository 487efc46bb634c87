"""dbt kept warm does what plain dbt does: same tables, same exit codes, same words."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path

import duckdb
import pytest

from pipelines.defs.transform import warm

pytestmark = pytest.mark.integration

DBT = str(Path(sys.executable).parent / "huitou-dbt")
PROJECT = """
name: small
profile: small
flags: {send_anonymous_usage_stats: false}
models: {+materialized: table}
"""
PROFILES = """
small:
  target: duckdb
  outputs:
    duckdb: {type: duckdb, path: "{{ env_var('WAREHOUSE') }}", threads: 1}
"""
#: The row says where and by whom it was made; the other model is busy for minutes.
MODELS = {
    "made": 'select \'{{ env_var("MADE_BY", "nobody") }}\' as made_by',
    "busy": "select sum(sin(a.i * b.i)) as n from range(1000000) a(i), range(1000000) b(i)",
}
CHECK = "select * from {{ ref('made') }} where made_by = 'the wrong one'"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of two models and one test, and the folder to run dbt in."""
    monkeypatch.setenv("WAREHOUSE", str(tmp_path / "warehouse.duckdb"))
    monkeypatch.setenv("DBT_SEND_ANONYMOUS_USAGE_STATS", "false")
    for name in ("models", "tests"):
        (tmp_path / name).mkdir()
    (tmp_path / "dbt_project.yml").write_text(PROJECT)
    (tmp_path / "profiles.yml").write_text(PROFILES)
    for name, sql in MODELS.items():
        (tmp_path / "models" / f"{name}.sql").write_text(sql)
    (tmp_path / "tests" / "made_by_the_right_one.sql").write_text(CHECK)
    return tmp_path


def options(project: Path) -> list[str]:
    return ["--project-dir", str(project), "--profiles-dir", str(project)]


@pytest.fixture
def warmed(project: Path) -> Iterator[Path]:
    with warm.warm_dbt(project / "target", options(project)):
        yield project


def dbt(project: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [DBT, *words],
        cwd=project,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def made_by(project: Path) -> str:
    with duckdb.connect(str(project / "warehouse.duckdb"), read_only=True) as warehouse:
        (name,) = warehouse.execute("select made_by from made").fetchone() or ("",)
    return str(name)


def is_free(project: Path) -> bool:
    """Whether no process holds the warehouse."""
    if not (project / "warehouse.duckdb").exists():
        return True
    try:
        duckdb.connect(str(project / "warehouse.duckdb"), read_only=True).close()
    except duckdb.IOException:
        return False
    return True


def until(holds: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.2)


def test_a_build_is_done_in_the_environment_and_folder_of_who_asks_for_it(warmed: Path) -> None:
    for name in ("ada", "grace"):
        done = dbt(warmed, "build", "--select", "made", MADE_BY=name)
        assert done.returncode == 0, done.stdout
        assert "made_by_the_right_one" in done.stdout
        assert made_by(warmed) == name


def test_a_build_leaves_the_warehouse_closed(warmed: Path) -> None:
    dbt(warmed, "run", "--select", "made")
    assert [path.name for path in warmed.glob("warehouse*")] == ["warehouse.duckdb"]


def test_the_manifest_lies_where_it_is_looked_for_once_the_project_is_parsed(warmed: Path) -> None:
    assert warm.is_parsed()
    assert {"manifest.json", "partial_parse.msgpack"} <= {
        path.name for path in (warmed / "target").iterdir()
    }


@pytest.mark.parametrize("stands", [True, False])
def test_exit_codes_and_words_are_those_of_dbt(project: Path, stands: bool) -> None:
    failing = ["build", "--select", "made"]
    with warm.warm_dbt(project / "target", options(project)) if stands else nullcontext():
        failed = dbt(project, *failing, MADE_BY="the wrong one")
        broken = dbt(project, "build", "--no-such-option")
    assert (failed.returncode, broken.returncode) == (1, 2)
    assert "Got 1 result, configured to fail if != 0" in failed.stdout
    assert "no-such-option" in broken.stderr


def test_a_project_that_cannot_be_parsed_is_told_by_the_build(project: Path) -> None:
    (project / "models" / "made.sql").write_text("select {{ nonsense( }}")
    with warm.warm_dbt(project / "target", options(project)):
        assert not warm.is_parsed()
        done = dbt(project, "build")
    assert done.returncode == 2
    assert "made.sql" in done.stdout


def test_who_stops_waiting_stops_the_build(warmed: Path) -> None:
    asking = subprocess.Popen([DBT, "run", "--select", "busy"], cwd=warmed)
    until(lambda: not is_free(warmed))
    asking.kill()
    asking.wait()
    until(lambda: is_free(warmed))


def test_where_the_warm_process_has_died_dbt_starts_cold(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(warm.SOCKET, str(project / "nobody listens"))
    done = dbt(project, "run", "--select", "made", MADE_BY="ada")
    assert (done.returncode, made_by(project)) == (0, "ada")


def test_where_the_warm_process_dies_before_it_begins_dbt_starts_cold(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen()
        monkeypatch.setenv(warm.SOCKET, address)
        dying = threading.Thread(target=lambda: [listener.accept()[0].close() for _ in range(2)])
        dying.start()
        assert not warm.is_parsed()
        done = dbt(project, "run", "--select", "made", MADE_BY="ada")
        dying.join()
    assert (done.returncode, made_by(project)) == (0, "ada")


def test_a_folder_with_packages_of_our_names_is_none_of_our_business(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "theirs"
    for name in ("pipelines", "dbt"):
        (folder / name).mkdir(parents=True)
        (folder / name / "__init__.py").write_text("raise SystemExit('theirs')")
    monkeypatch.chdir(folder)
    with warm.warm_dbt(project / "target", options(project)):
        assert warm.is_parsed()


def test_nothing_of_it_is_left_after_the_block(project: Path) -> None:
    with warm.warm_dbt(project / "target", options(project)):
        folder = Path(os.environ[warm.SOCKET]).parent
        assert folder.is_dir()
    assert warm.SOCKET not in os.environ
    assert not folder.exists()
    assert not list(project.glob("parse-*"))
    assert not warm.is_parsed()


#: A command as `huitou run` is one: dbt is warm, and a client of it builds.
COMMAND = """
import os, subprocess, sys
from pathlib import Path
from pipelines.defs.transform import warm

project, dbt, *words = sys.argv[1:]
with warm.warm_dbt(Path(project, "target"), words):
    print(os.environ[warm.SOCKET], flush=True)
    subprocess.run([dbt, "run", "--select", "busy"], cwd=project, stdout=subprocess.DEVNULL)
"""


def test_a_command_that_is_killed_leaves_no_build_and_no_folder(project: Path) -> None:
    command = subprocess.Popen(
        [sys.executable, "-c", COMMAND, str(project), DBT, *options(project)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert command.stdout
    folder = Path(command.stdout.readline().strip()).parent
    until(lambda: not is_free(project))
    command.kill()
    command.communicate()
    until(lambda: is_free(project))
    until(lambda: not folder.exists())
