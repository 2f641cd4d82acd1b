"""The size of the guest image, and how long it takes to build, check, export and import one.

A build has apt's packages in its cache after the first one. Next: `engine/guest/build.py`,
`engine/images/`.
"""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from engine.guest.build import find_current
from tests.bench.figures import Row, at_most, row
from tests.bench.lab import Lab
from tests.bench.timing import seconds_of
from vm import image
from vm.host import sparse

MB = 1_000_000


def measure(lab: Lab) -> Iterator[Row]:
    newest = find_current(lab.images)[0]
    parts = [newest / part.name for part in image.read_manifest(newest).parts]
    size = sum(map(sparse.allocated, parts)) / MB
    yield row("image.disk", size, "MB", n=1, goal=at_most(200))
    galley = lab.running()
    galley.run("image", "check")
    checks = [seconds_of(lambda: galley.run("image", "check")) for _ in range(lab.times(5, 2))]
    yield row("image.check", median(checks), "s", n=len(checks), goal=at_most(1))
    with tempfile.TemporaryDirectory(prefix="galley-") as name:
        folder = Path(name)
        build = ("image", "build", "--to", str(folder / "built"))
        galley.run(*build)
        shutil.rmtree(folder / "built")
        yield row("image.build", seconds_of(lambda: galley.run(*build)), "s", n=1, goal=at_most(60))
        file = folder / "one.galley-image"
        export = ("image", "export", str(file), "--image", str(newest))
        yield row("image.export", seconds_of(lambda: galley.run(*export)), "s", n=1)
        yield row("image.file", file.stat().st_size / MB, "MB", n=1)
        other = {**galley.env, "GALLEY_HOME": str(folder / "home")}
        galley.env, kept = other, galley.env
        try:
            took = seconds_of(lambda: galley.run("image", "import", str(file)))
        finally:
            galley.env = kept
        yield row("image.import", took, "s", n=1)
