"""Runs the benchmarks one after the other (`make bench`); each prints ratios measured in one run.

LIKEWISE_DATA=... python benchmarks/run.py [NAME ...]
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
NAMES = (
    "mining",
    "evaluation",
    "training",
    "calibration",
    "intervals",
    "gallery",
    "clustering",
    "objectives",
    "ten_clusters",
    "recipe",
    "heads",
    "listening",
    "style",
    "boxes",
    "detect",
)

if __name__ == "__main__":
    failed = []
    for name in sys.argv[1:] or NAMES:
        print(f"\n== {name}", flush=True)
        if subprocess.run([sys.executable, str(HERE / f"{name}.py")], check=False).returncode:
            failed.append(name)
    sys.exit(f"failed: {', '.join(failed)}" if failed else 0)
