"""Takes the README's screenshots: `python -m tests.screenshots`, also `./dev screenshots`.

It starts a dockerd with the containers of a small shop and the real window without a screen, and
saves each page, light and dark, to `assets/screenshots/`. Needs root, as the window's tests do.
"""

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PySide6.QtCore import QEventLoop, QTimer
from PySide6.QtWidgets import QApplication

from desktop.app import App
from engine.dockercli.contexts import DockerContext
from engine.dockercli.endpoint import Endpoint
from tests.gui.conftest import WindowDockerd
from tests.unit.engine.bridge.servers import IMAGE, docker

FOLDER = Path(__file__).parent.parent / "assets" / "screenshots"
PATIENCE = 30.0
DOCKERFILE = f"""
FROM {IMAGE}
ENV MODE=production
COPY requirements.txt /app/
RUN dd if=/dev/zero of=/app/packages bs=1M count=18
COPY app /app/shop
EXPOSE 9000
VOLUME /data
WORKDIR /app
CMD ["sh", "-c", "while sleep 1; do n=$((n + 1)); echo \\"GET /orders/$n 200 in 3 ms\\"; done"]
"""
BUSY = "while sleep 0.05; do echo x | sha256sum > /dev/null; done"
SHOP = (
    ("web", "nginx:1.27", ("-p", "127.0.0.1:8080:80"), ("sh", "-c", BUSY)),
    ("api", "shop-api:dev", ("-p", "127.0.0.1:9000:9000", "-m", "256m", "--cpus", "0.5"), ()),
    ("db", "postgres:17", ("-v", "shop_db:/var/lib/postgresql"), ("sleep", "100000")),
)


def main() -> int:
    folder = Path(tempfile.mkdtemp(prefix="galley-"))
    os.environ["GALLEY_HOME"] = str(folder / "home")
    os.environ["DOCKER_CONFIG"] = str(folder / "docker-config")
    dockerd = WindowDockerd(folder)
    dockerd.start()
    try:
        furnish(dockerd)
        FOLDER.mkdir(exist_ok=True)
        take(dockerd)
    finally:
        names = docker(dockerd.socket, "ps", "-aq").stdout.decode().split()
        docker(dockerd.socket, "rm", "-f", *names)
        dockerd.stop()
        shutil.rmtree(folder, ignore_errors=True)
    return 0


def furnish(dockerd: WindowDockerd) -> None:
    """Creates a shop of three services, a registry, and paused, exited and failed containers."""

    def run(*words: str) -> None:
        done = docker(dockerd.socket, *words, timeout=60)
        assert done.returncode == 0, done.stderr.decode()

    context = dockerd.folder / "context"
    (context / "app").mkdir(parents=True)
    (context / "app" / "main.py").write_text("print('open')\n" * 500)
    (context / "requirements.txt").write_text("flask\n")
    (context / "Dockerfile").write_text(DOCKERFILE)
    run("build", "-q", "-t", "shop-api:dev", str(context))
    for tag in ("nginx:1.27", "postgres:17", "registry:2", "jax:cpu", "alpine:3"):
        run("tag", IMAGE, tag)
    run("network", "create", "shop_default")
    for name in ("shop_db", "pgdata"):
        run("volume", "create", name)
    for name, *words in _others():
        run("run", "-d", "--name", name, *words)
    run("pause", "trainer")
    for service, image, options, command in SHOP:
        labels = [
            "--label", "com.docker.compose.project=shop",
            "--label", f"com.docker.compose.service={service}",
            "--label", "com.docker.compose.project.working_dir=~/code/shop",
        ]  # fmt: skip
        network = ["--network", "shop_default", "--name", f"shop-{service}-1"]
        run("run", "-d", *labels, *network, *options, image, *command)


def _others() -> list[tuple[str, ...]]:
    return [
        ("job-7", "alpine:3", "true"),
        ("importer", "shop-api:dev", "sh", "-c", "exit 137"),
        ("trainer", "jax:cpu", "sleep", "100000"),
        ("registry", "-p", "127.0.0.1:5000:5000", "registry:2", "sleep", "100000"),
    ]


def take(dockerd: WindowDockerd) -> None:
    context = DockerContext("shop", "", Endpoint("shop", f"unix://{dockerd.socket}"))
    app = App(QApplication(["galley"]), context)
    app.window.resize(1280, 800)
    app.window.show()
    wait(lambda: all(store.is_loaded for store in app.app_context.stores.all))
    api = next(r.id for r in app.app_context.stores.containers.rows.values() if r.service == "api")
    image = next(
        i.id for i in app.app_context.stores.images.rows.values() if "shop-api:dev" in i.tags
    )
    for scheme in ("light", "dark"):
        app.app_context.theme.choose(scheme)
        for name, page, key, tab, seconds in (
            ("containers", "containers", "", "", 9.0),
            ("logs", "containers", api, "logs", 2.0),
            ("stats", "containers", api, "stats", 9.0),
            ("inside", "containers", api, "inside", 3.0),
            ("images", "images", "", "", 1.0),
            ("image", "images", image, "", 2.0),
            ("volumes", "volumes", "", "", 2.0),
            ("networks", "networks", "", "", 2.0),
            ("settings", "settings", "", "", 1.0),
        ):
            app.window.go(page)
            back = getattr(app.window.current, "back", None)
            if callable(back):
                back()
            if key:
                app.window.go(page, key, tab)
            let_pass(seconds)
            app.window.grab().save(str(FOLDER / f"{name}-{scheme}.png"))
    app.close()


def wait(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < until, "the window shows nothing"
        QApplication.processEvents(QEventLoop.ProcessEventsFlag.AllEvents, 20)


def let_pass(seconds: float) -> None:
    """Runs the event loop for some seconds."""
    loop = QEventLoop()
    QTimer.singleShot(round(1000 * seconds), loop.quit)
    loop.exec()


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    os._exit(code)
