"""Feast for a brand: its definitions applied to the registry, and the store opened.

`feature_repo/` holds what Feast imports, `feast_definitions` derives the generated part of it.
Feast is imported where it is used, for the import alone takes seconds.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from string import Template
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import yaml

from pipelines.core.errors import HuitouError, UsageError
from pipelines.core.files import write_text
from pipelines.core.home import FEATURE_REPO, Brand
from pipelines.online.resp import parse_url

if TYPE_CHECKING:
    from feast import FeatureStore

STORES = {"sqlite": "feature_store.yaml", "redis": "feature_store.redis.yaml"}


class FeastError(HuitouError):
    """Feast refused the definitions."""


def environment(brand: Brand) -> dict[str, str]:
    """The variables that `feature_repo` is read with: which brand, which Redis if any.

    Raises:
        UsageError: `REDIS_URL` is not one that Feast can connect to.
    """
    place = {"HUITOU_ROOT": str(brand.root), "HUITOU_PROJECT": brand.project}
    return {**place, **_redis()} if _store() == "redis" else place


def _redis() -> dict[str, str]:
    """`REDIS_URL` in the words of Feast's configuration."""
    address, cluster = parse_url(os.environ.get("REDIS_URL", "redis://127.0.0.1:6379/0"))
    if address.path:
        raise UsageError("Feast reads Redis over TCP only", "give REDIS_URL a host and a port")
    options = {
        "db": "" if cluster else str(address.db),
        "username": address.username,
        "password": json.dumps(address.password) if address.password else "",
        "ssl": "true" if address.tls else "",
        "ssl_ca_certs": address.ca_file,
    }
    named = [f"{name}={value}" for name, value in options.items() if value]
    return {
        "HUITOU_REDIS": ",".join([f"{address.host}:{address.port}", *named]),
        "HUITOU_REDIS_TYPE": "redis_cluster" if cluster else "redis",
    }


def apply(brand: Brand, repo: Path = FEATURE_REPO) -> bool:
    """Whether the registry had to be brought up to the definitions; a no-op if they are equal.

    In a process of its own: Feast imports the definitions under bare names, and changes folder.
    Who comes while another applies waits, and finds it done.

    Raises:
        FeastError: Feast refused them.
    """
    brand.root.mkdir(parents=True, exist_ok=True)
    with brand.registry.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return _apply(brand, repo)


def _apply(brand: Brand, repo: Path) -> bool:
    config, place = _config_file(repo), _place(brand)
    stamp, wanted = brand.registry.with_suffix(".applied"), f"{place} {_digest(repo, config)}"
    applied = stamp.read_text(encoding="utf-8") if stamp.exists() else ""
    if brand.registry.exists() and applied == wanted:
        return False
    stamp.unlink(missing_ok=True)
    with TemporaryDirectory(dir=brand.root, prefix=".feast-") as folder:
        # who reads meanwhile finds the old registry, or the new one, and never none
        registry, beside = Path(folder, brand.registry.name), Path(folder, config.name)
        if brand.registry.exists() and applied.partition(" ")[0] == place:
            # one of another place knows a store there, whose tables Feast would drop
            registry.write_bytes(brand.registry.read_bytes())
        settings = yaml.safe_load(config.read_text(encoding="utf-8"))
        write_text(beside, yaml.safe_dump({**settings, "registry": str(registry)}))
        _feast(brand, repo, ["-f", str(beside), "apply", "--skip-source-validation"])
        registry.replace(brand.registry)
    write_text(stamp, wanted)
    return True


def _feast(brand: Brand, repo: Path, words: list[str]) -> None:
    feast = [sys.executable, "-P", "-c", "from feast.cli.cli import cli; cli()"]
    done = subprocess.run(  # noqa: S603 - our own interpreter, our own words
        [*feast, "-c", str(repo), *words],
        env={**os.environ, **environment(brand), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        said = "\n".join((done.stderr or done.stdout).splitlines()[-5:])
        message = f"`feast apply` failed on {repo}:\n{said}"
        raise FeastError(message, "run `make generate`, then look at the definition it names")


def feature_store(
    brand: Brand, known_at: datetime | None = None, repo: Path = FEATURE_REPO
) -> FeatureStore:
    """Feast on the brand's registry and stores; history as known at `known_at`, if it is given."""
    from feast import FeatureStore, RepoConfig

    text = _config_file(repo).read_text(encoding="utf-8")
    settings = yaml.safe_load(Template(text).substitute(environment(brand)))
    if known_at:
        settings["offline_store"]["known_at"] = known_at
    config = RepoConfig(**settings)
    config.repo_path = repo
    return FeatureStore(config=config)


def _config_file(repo: Path) -> Path:
    return repo / STORES[_store()]


def _store() -> str:
    kind = os.environ.get("HUITOU_ONLINE_STORE", "sqlite")
    if kind not in STORES:
        message = f"HUITOU_ONLINE_STORE={kind!r} names no online store"
        raise UsageError(message, f"set it to one of {sorted(STORES)}")
    return kind


def _place(brand: Brand) -> str:
    """Of where the brand and its online store are."""
    text = json.dumps({"store": _store(), **environment(brand)}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _digest(repo: Path, config: Path) -> str:
    """Of the definitions and the configuration."""
    parts = [path.read_bytes() for path in [*sorted(repo.glob("*.py")), config]]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]
