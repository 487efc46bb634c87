"""Where everything is written: `HUITOU_HOME`, and below it one folder a brand.

Paths only. What stands in the files is the business of the module that writes them.
"""

from __future__ import annotations

import os
import re
from dataclasses import asdict, dataclass, field
from pathlib import Path
from zoneinfo import ZoneInfo

from pipelines.core.clock import zone_of
from pipelines.core.errors import UsageError
from pipelines.core.files import read_json, write_json, write_text

REPOSITORY = Path(__file__).resolve().parents[2]
DBT_PROJECT = REPOSITORY / "dbt_project"
FEATURE_REPO = REPOSITORY / "feature_repo"


@dataclass(frozen=True)
class BrandConfig:
    """What a brand's runs agree on: its business time zone, its currency, its sources' folders."""

    business_tz: str
    currency: str
    sources: dict[str, str] = field(default_factory=dict)

    def zone(self) -> ZoneInfo:
        """The business time zone.

        Raises:
            UsageError: the name is not in the tz database.
        """
        return zone_of(self.business_tz)


#: What a brand that has never been run agrees on.
UNAGREED = BrandConfig(business_tz="Asia/Shanghai", currency="CNY")


@dataclass(frozen=True)
class Brand:
    """The files of one brand; `root` holds them all."""

    root: Path

    @property
    def name(self) -> str:
        """The brand's name, also the name of its folder."""
        return self.root.name

    @property
    def project(self) -> str:
        """The Feast project, so that brands can share one online store."""
        return f"huitou_{self.name}"

    @property
    def raw(self) -> Path:
        """Accepted rows: `<table>/<load_id>.parquet`."""
        return self.root / "lake" / "raw"

    @property
    def quarantine(self) -> Path:
        """Rejected rows: `<table>/<load_id>.parquet`, with reason and original."""
        return self.root / "lake" / "quarantine"

    @property
    def loads(self) -> Path:
        """Load manifests: `<table>/<load_id>.json`; a raw file counts once its manifest is here."""
        return self.root / "lake" / "loads"

    @property
    def warehouse(self) -> Path:
        """The DuckDB file that dbt, and nothing else, writes."""
        return self.root / "warehouse.duckdb"

    @property
    def scores(self) -> Path:
        """Model scores: Parquet files that dbt reads back."""
        return self.root / "scores"

    @property
    def models(self) -> Path:
        """Versions of the churn model, never rewritten, and which of them is in use."""
        return self.root / "models"

    @property
    def training_sets(self) -> Path:
        """What versions were learnt from, as `<snapshot_id>.parquet`, less whom it may not hold."""
        return self.models / "training"

    @property
    def log(self) -> Path:
        """The feature log: `<view>/*.parquet` and `_snapshots/*.json`."""
        return self.root / "log"

    @property
    def registry(self) -> Path:
        """Feast's registry file."""
        return self.root / "registry.db"

    @property
    def online_sqlite(self) -> Path:
        """Feast's embedded online store."""
        return self.root / "online.db"

    @property
    def catalog(self) -> Path:
        """The definitions as the gateway reads them."""
        return self.root / "catalog.json"

    @property
    def dagster_home(self) -> Path:
        """The brand's Dagster instance."""
        return self.root / "dagster"

    def config(self) -> BrandConfig:
        """The brand's agreement.

        Raises:
            UsageError: the brand has never been run.
        """
        path = self.root / "brand.json"
        if not path.exists():
            message = f"no brand {self.name!r} in {self.root.parent}"
            raise UsageError(
                message, "run `huitou run --source … --landing …` or `make demo` first"
            )
        return BrandConfig(**read_json(path))

    def config_or_default(self) -> BrandConfig:
        """The brand's agreement; the defaults while nothing has been run yet."""
        try:
            return self.config()
        except UsageError:
            return UNAGREED

    def agree(self, source: str, landing: Path, business_tz: str, currency: str) -> BrandConfig:
        """Record `source` and its landing folder; the first one fixes time zone and currency.

        Raises:
            UsageError: the source cuts its days or counts its money otherwise than the brand.
        """
        known = self.config() if (self.root / "brand.json").exists() else None
        wanted = (business_tz, currency)
        if known and (known.business_tz, known.currency) != wanted:
            message = (
                f"brand {self.name!r} runs in {known.business_tz}, {known.currency}; "
                f"source {source!r} declares {business_tz}, {currency}"
            )
            raise UsageError(message, "give the source a brand of its own with --brand NAME")
        sources = {**(known.sources if known else {}), source: str(landing.resolve())}
        config = BrandConfig(business_tz, currency, sources)
        if config != known:
            write_json(self.root / "brand.json", asdict(config))
        return config


@dataclass(frozen=True)
class Home:
    """`HUITOU_HOME`: the brands, and which of them commands mean when none is named."""

    root: Path

    @classmethod
    def from_env(cls) -> Home:
        """The home that `HUITOU_HOME` names, `.huitou` by default."""
        return cls(Path(os.environ.get("HUITOU_HOME", ".huitou")).resolve())

    def brand(self, name: str) -> Brand:
        """The brand of that name, whether or not it has been run.

        Raises:
            UsageError: the name cannot be a folder and a Feast project.
        """
        if not re.fullmatch(r"[a-z][a-z0-9_]{0,39}", name):
            message = f"{name!r} cannot name a brand"
            raise UsageError(message, "use lower-case letters, digits and _, a letter first")
        return Brand(self.root / "brands" / name)

    def current(self) -> Brand:
        """The brand of `HUITOU_BRAND`, else the one last run.

        Raises:
            UsageError: nothing has been run here yet.
        """
        pointer = self.root / "current"
        name = os.environ.get("HUITOU_BRAND") or (
            pointer.read_text(encoding="utf-8").strip() if pointer.exists() else ""
        )
        if not name:
            message = f"nothing has been run in {self.root} yet"
            raise UsageError(message, "run `make demo`, or set HUITOU_HOME to where you ran it")
        return self.brand(name)

    def choose(self, brand: Brand) -> None:
        """Make `brand` the one that commands mean when none is named."""
        write_text(self.root / "current", brand.name + "\n")
