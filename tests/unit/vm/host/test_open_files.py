"""How many files a process may open, asked in processes of their own."""

import resource
import subprocess
import sys

import pytest

from vm.host.open_files import WANTED

ASK = """
import resource, sys
from vm.host.open_files import allow_many
soft, hard = map(int, sys.argv[1:])
resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
allow_many()
print(*resource.getrlimit(resource.RLIMIT_NOFILE))
"""
HARD = resource.getrlimit(resource.RLIMIT_NOFILE)[1]


@pytest.mark.parametrize(
    ("soft", "hard", "then"), [(256, HARD, min(WANTED, HARD)), (256, 512, 512), (512, 512, 512)]
)
def test_as_many_as_the_system_gives(soft: int, hard: int, then: int) -> None:
    words = [sys.executable, "-c", ASK, str(soft), str(hard)]
    told = subprocess.run(words, capture_output=True, check=True, timeout=30).stdout
    assert list(map(int, told.split())) == [then, hard]
