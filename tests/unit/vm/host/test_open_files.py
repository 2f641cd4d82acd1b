"""The limit of open files, checked in processes of their own."""

import resource
import subprocess
import sys

import pytest

from vm.host.open_files import WANTED

SCRIPT = """
import resource, sys
from vm.host.open_files import allow_many
soft, hard = map(int, sys.argv[1:])
resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
allow_many()
print(*resource.getrlimit(resource.RLIMIT_NOFILE))
"""
HARD = resource.getrlimit(resource.RLIMIT_NOFILE)[1]


@pytest.mark.parametrize(
    ("soft", "hard", "expected"), [(256, HARD, min(WANTED, HARD)), (256, 512, 512), (512, 512, 512)]
)
def test_the_soft_limit_is_raised_within_the_hard_limit(
    soft: int, hard: int, expected: int
) -> None:
    command = [sys.executable, "-c", SCRIPT, str(soft), str(hard)]
    stdout = subprocess.run(command, capture_output=True, check=True, timeout=30).stdout
    assert list(map(int, stdout.split())) == [expected, hard]
