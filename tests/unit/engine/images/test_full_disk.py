"""What fails to be written below the images is an error for the user."""

from collections.abc import Callable
from pathlib import Path

import pytest

from engine.guest import build as building
from engine.guest.build import build, build_anew
from engine.guest.images_lock import LOCK, only_one
from tests.unit.engine.images.current import ignore
from vm.errors import DiskFull, HostError
from vm.host import process


def fill(work: Path, *_rest: object) -> None:
    (work / "packages.tar").write_bytes(b"x" * (2 << 20))


@pytest.mark.parametrize("make", [build, build_anew])
def test_a_build_on_a_full_disk(
    small_disk: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[..., Path]
) -> None:
    monkeypatch.setattr(building, "_make_parts", fill)
    monkeypatch.setattr(process, "find_tool", lambda name, hint: Path(name))
    with pytest.raises(DiskFull):
        make(small_disk / "images", progress=ignore)
    assert [path.name for path in (small_disk / "images").iterdir()] == [LOCK]


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "images").touch()
    with (
        pytest.raises(HostError, match="cannot be written") as caught,
        only_one(tmp_path / "images", ignore),
    ):
        pass
    assert str(tmp_path / "images") in caught.value.summary


def test_the_deadline_of_a_step_is_no_failed_write(tmp_path: Path) -> None:
    with pytest.raises(TimeoutError), only_one(tmp_path / "images", ignore):
        raise TimeoutError
    with only_one(tmp_path / "images", ignore):
        pass
