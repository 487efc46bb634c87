"""How fast the synthetic shop is drawn and written.

`python -m bench.shop` prints seconds, processor seconds and rows a second for each way of writing:
the landing files by day (gzip CSV, with the truth beside them), and typed Parquet. Orders are
counted once, however often they land.
"""

from __future__ import annotations

import argparse
import resource
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from pipelines.core.shop import ShopConfig, ShopReport, generate, generate_parquet

#: What a shop of 400 days comes to, guests and cancelled orders included.
ORDERS_A_MEMBER = 2.93
WAYS: dict[str, Callable[[ShopConfig, Path], ShopReport]] = {
    "landing": generate,
    "parquet": generate_parquet,
}


def measure(way: str, config: ShopConfig) -> str:
    """One line: how long the shop took, written that way."""
    folder = Path(tempfile.mkdtemp(prefix="huitou-bench-"))
    used, started = _cpu(), time.perf_counter()
    try:
        report = WAYS[way](config, folder)
    finally:
        shutil.rmtree(folder)
    seconds, cpu = time.perf_counter() - started, _cpu() - used
    return (
        f"{way:8} {report.orders:>11,} orders {report.total:>12,} rows"
        f" {report.bytes / 1e6:>6,.0f} MB {seconds:>7.1f} s {cpu:>7.1f} cpu s"
        f" {report.orders / seconds:>9,.0f} orders/s {report.total / seconds:>10,.0f} rows/s"
    )


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Measure each way."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--orders", type=int, default=10_000_000, help="about how many")
    parser.add_argument("--ways", nargs="+", choices=list(WAYS), default=list(WAYS))
    wanted = parser.parse_args()
    config = ShopConfig(members=max(int(wanted.orders / ORDERS_A_MEMBER), 1))
    for way in wanted.ways:
        print(measure(way, config), flush=True)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"peak memory {peak:.1f} GB")


if __name__ == "__main__":
    main()
