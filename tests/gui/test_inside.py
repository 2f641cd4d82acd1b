"""The Inside tab: the facts that are worked out, and the tab of a real container."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from desktop.context import AppContext
from desktop.i18n.text import size
from desktop.pages.containers.inside import facts
from desktop.pages.containers.inside.changes import ChangesDialog, shown_first
from desktop.pages.containers.inside.tab import InsideTab
from engine.docker.client import DockerClient
from engine.docker.types import (
    Change,
    ContainerDetail,
    ContainerProcess,
    ContainerState,
    ImageDetail,
    Layer,
    Namespace,
    RunSpec,
)
from tests.gui.conftest import WaitFor
from tests.unit.engine.bridge.servers import IMAGE
from tests.unit.engine.docker.conftest import sleeper

DETAIL = ContainerDetail(
    id="c" * 64, name="web", image="web:1", image_id="i", state=ContainerState.RUNNING, pid=7,
    started=0.0, finished=0.0, exit_code=0, oom_killed=False, error="", spec=RunSpec("web:1"),
    runtime="runc", hostname="cccc", addresses=(("bridge", "172.17.0.2"),), security=(),
    privileged=False, capabilities_added=(), capabilities_dropped=(), read_only=False, modes=(),
    app_armor="", cgroup_parent="", pids_limit=0, storage_driver="overlay2", size_rw=12,
    size_root=100,
)  # fmt: skip


def changed(**values: object) -> ContainerDetail:
    return msgspec.structs.replace(DETAIL, **values)


def image(count: int) -> ImageDetail:
    """Layers in the order of the history: the newest first, with one step that made no layer."""
    layers = [
        Layer(f"RUN step {number}", 1000, 0.0, f"sha256:{number}") for number in range(count, 0, -1)
    ]
    layers[-1] = msgspec.structs.replace(layers[-1], tags=("base:1",))
    empty = Layer("CMD run", 0, 0.0)
    return ImageDetail("i", ("web:1",), 1000 * count, 0.0, "linux", "amd64", (empty, *layers))


# Layers


def test_each_of_a_few_layers_is_a_sheet() -> None:
    found = facts.sheets(DETAIL, image(3), (Change("A", "/a"),), size)
    assert [sheet.mark for sheet in found] == ["read-write", "#3", "#2", "#1"]
    assert found[0].note == "1 file changed · 12 B"
    assert (found[1].title, found[-1].title) == ("RUN step 3", "base:1")


def test_the_lower_ones_of_many_layers_are_grouped() -> None:
    found = facts.sheets(DETAIL, image(20), None, size)
    assert [sheet.mark for sheet in found] == [
        "read-write", "#20", "#19", "#18", "#17", "#16", "#1–15",
    ]  # fmt: skip
    assert found[-1].title == "base:1"
    assert found[-1].note == "14.6 KiB · 15 layers"


def test_without_its_image_only_the_writable_layer_is_shown() -> None:
    assert [sheet.mark for sheet in facts.sheets(DETAIL, None, None, size)] == ["read-write"]


# Namespaces


def test_each_namespace_is_own_shared_or_the_hosts() -> None:
    detail = changed(
        modes=(("pid", "container:" + "d" * 64), ("ipc", "private"), ("uts", "host"), ("user", ""))
    )
    inodes = [Namespace("mnt", 42), Namespace("ipc", 43)]
    names = {"d" * 64: "db"}
    found = facts.spaces(detail, inodes, None, names, {"ipc": ("cache",)}, {})
    relations = {space.kind: (space.relation, space.value, space.others) for space in found}
    assert list(relations) == list(facts.KINDS)
    assert relations["pid"] == ("shared", "", ("db",))
    assert relations["ipc"] == ("shared", "43", ("cache",))
    assert relations["uts"][0] == relations["user"][0] == "host"
    assert relations["mnt"] == ("own", "42", ())
    assert relations["net"] == ("own", "172.17.0.2", ())


# Processes


def test_the_tree_has_children_below_their_parents() -> None:
    def process(pid: int, parent: int) -> ContainerProcess:
        return ContainerProcess(pid, parent, "root", f"p{pid}")

    rows = [process(10, 3), process(11, 10), process(12, 10), process(13, 11), process(20, 3)]
    assert [(one.lead, one.process.pid) for one in facts.tree(rows)] == [
        ("", 10), ("├ ", 11), ("│ └ ", 13), ("└ ", 12), ("", 20),
    ]  # fmt: skip


# Security


def test_the_security_of_a_container_with_defaults() -> None:
    line = facts.security_line(DETAIL, None)
    assert line == "seccomp default · AppArmor off · 14 capabilities · not privileged"


def test_capabilities_are_added_and_dropped() -> None:
    few = changed(capabilities_dropped=("ALL",), capabilities_added=("CAP_NET_ADMIN", "CHOWN"))
    assert facts.capabilities(few) == ("CHOWN", "NET_ADMIN")
    assert facts.capabilities(changed(privileged=True)) is None
    less = facts.capabilities(changed(capabilities_dropped=("NET_RAW",)))
    assert less is not None
    assert len(less) == 13


def test_folders_of_changed_files_are_left_out() -> None:
    given = [Change("C", "/etc"), Change("C", "/etc/hosts"), Change("A", "/new")]
    assert [change.path for change in shown_first(given)] == ["/etc/hosts", "/new"]


# A real container


@pytest.fixture
def tab(
    app_context: AppContext, client: DockerClient, qtbot: QtBot, wait_for: WaitFor
) -> Iterator[InsideTab]:
    key = client.containers.run(sleeper("inside", memory=64 << 20))
    client.containers.run_in(key, ("sh", "-c", "echo hello > /tmp/written"))
    body = {
        "Image": IMAGE,
        "Cmd": list(sleeper("").command),
        "HostConfig": {"PidMode": f"container:{key}", "NetworkMode": "none"},
    }
    client.containers.start(client.containers.create_raw(body, "inside-guest"))
    names = {"inside", "inside-guest"}
    wait_for(
        lambda: (
            {r.name for r in app_context.stores.containers.rows.values() if r.state.is_up} == names
        )
    )
    made = InsideTab(app_context, key)
    qtbot.addWidget(made)
    made.resize(1100, 700)
    made.show()
    yield made
    made.leave()


def test_every_part_of_a_running_container_is_shown(
    tab: InsideTab, wait_for: WaitFor, tmp_path: Path
) -> None:
    wait_for(lambda: len(tab.stack.sheets) == 2)
    wait_for(lambda: tab.loader.changes)
    assert "/tmp/written" in tab.changes.text.whole
    wait_for(lambda: tab.spaces.value_of("pid") == "with inside-guest")
    assert tab.spaces.relation_of("mnt") == "own"
    wait_for(lambda: tab.spaces.value_of("mnt").isdigit())
    wait_for(lambda: len(tab.processes.branches) >= 2)
    wait_for(lambda: tab.limits.memory.used.text() != "–")
    assert "64.0 MiB" in tab.limits.memory.whole.text()
    assert tab.grab().save(str(tmp_path / "inside.png"))  # every painter ran


def test_comparing_inodes_finds_shared_namespaces(tab: InsideTab, wait_for: WaitFor) -> None:
    wait_for(lambda: tab.loader.inodes)
    tab.compare.click()
    wait_for(lambda: tab.loader.same.get("pid") == ("inside-guest",))
    assert "mnt" not in tab.loader.same


def test_all_changes_are_in_a_dialog_with_a_filter(tab: InsideTab, wait_for: WaitFor) -> None:
    wait_for(lambda: tab.loader.changes)
    tab.changes.all.click()
    (dialog,) = tab.findChildren(ChangesDialog)
    QTest.keyClicks(dialog.filter, "written")
    assert dialog.model.stringList() == ["added      /tmp/written"]
    QTest.keyClick(dialog, Qt.Key.Key_Escape)


def test_the_tab_follows_the_end_of_the_container(
    tab: InsideTab, client: DockerClient, wait_for: WaitFor
) -> None:
    wait_for(lambda: tab.loader.processes)
    client.containers.stop(tab.key)
    wait_for(lambda: "not running" in tab.processes.note)
    assert not tab.processes.branches
    assert not tab.feed.is_on
    assert tab.limits.memory.used.text() == "–"
    assert len(tab.stack.sheets) == 2


def test_the_security_card_unfolds(tab: InsideTab, wait_for: WaitFor) -> None:
    wait_for(lambda: tab.security.more.isVisible())
    assert tab.security.card.isHidden()
    tab.security.more.click()
    assert tab.security.card.isVisible()
