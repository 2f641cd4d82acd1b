"""Is there room for images and containers to grow?"""

import shutil
from pathlib import Path

from engine.diagnose.facts import Facts
from vm.errors import DiskFull, Problem

TITLE = "There is free space on the disk"
ENOUGH = 5 << 30  # bytes: a few images; the data disk is sparse and fails when the host's is full


def applies(facts: Facts) -> bool:
    return facts.home.root.exists()


def check(facts: Facts) -> Problem | None:
    left = free(facts.home.root)
    if left >= ENOUGH:
        return None
    return DiskFull(
        f"Only {left / 1024**3:.1f} GiB are free on the disk that holds {facts.home.root}.",
        "Free some space: `galley docker system prune` removes what no container uses.",
    ).to_problem()


def free(folder: Path) -> int:
    return shutil.disk_usage(folder).free
