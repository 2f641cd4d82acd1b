"""inotify alone, without a tree."""

from pathlib import Path

from engine.file_events.change import Kind
from engine.file_events.inotify import Inotify


def test_inotify_works_with_very_many_open_files(tmp_path: Path, more_files: None) -> None:
    inotify = Inotify()
    watch = inotify.add(str(tmp_path))
    assert inotify.read(0.0) == []
    (tmp_path / "new").mkdir()
    (event,) = inotify.read(20.0)
    assert (event.watch, event.name, event.mask & Kind.CREATE) == (watch, "new", Kind.CREATE)
    inotify.wake()
    assert inotify.read(None) == []
    inotify.close()
