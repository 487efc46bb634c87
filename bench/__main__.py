"""`python -m bench`: every benchmark after the other, each in a process of its own.

`python -m bench publish gateway` runs those two; options stand in each one's `--help`.
"""

from __future__ import annotations

import subprocess
import sys

#: What each is given; how good the churn model is, is asked of `make bench-churn`.
BENCHES: dict[str, list[str]] = {"shop": [], "publish": [], "gateway": [], "churn": ["--speed"]}


def main() -> int:
    """Run what is named, or everything; the exit code is the first that is not 0."""
    named = sys.argv[1:] or list(BENCHES)
    if unknown := sorted(set(named) - set(BENCHES)):
        sys.stderr.write(f"no benchmark {', '.join(unknown)}; choose of {', '.join(BENCHES)}\n")
        return 2
    worst = 0
    for name in named:
        sys.stdout.write(f"\n== {name}\n")
        sys.stdout.flush()
        done = subprocess.run([sys.executable, "-m", f"bench.{name}", *BENCHES[name]], check=False)
        worst = worst or done.returncode
    return worst


if __name__ == "__main__":
    sys.exit(main())
