"""Which binds pass and which are refused; nothing else of a create request is changed."""

import json
import os
import socket
from pathlib import Path
from typing import Any

import pytest

from engine.shares.binds import Sharing
from tests.unit.engine.admission.making import admission
from vm.errors import NotShared, ToolMissing
from vm.host import private_folders
from vm.messages import Message
from vm.types import Share


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """A folder that is shared, with a file in it."""
    folder = tmp_path / "home"
    folder.mkdir()
    (folder / "file").touch()
    return folder


@pytest.fixture
def sharing(shared: Path) -> Sharing:
    share = Share(str(shared), str(shared))
    return Sharing("/nowhere/docker.sock", (share,), ("~",))


def body_with(*binds: str, **more: Any) -> bytes:
    return json.dumps({"Image": "a", "HostConfig": {"Binds": binds, **more}}).encode()


def check(body: bytes, sharing: Sharing) -> bytes | None:
    """The body that is sent to dockerd; None if it is unchanged."""
    sent = admission(sharing).create_container(body)
    return None if sent == body else sent


def check_service(body: bytes, sharing: Sharing) -> bytes:
    return admission(sharing).create_service(body)[0]


def mount(source: str, **more: Any) -> bytes:
    one = {"Type": "bind", "Source": source, "Target": "/x", **more}
    return json.dumps({"HostConfig": {"Mounts": [one]}}).encode()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not json",
        b"[]",
        b'{"HostConfig": null}',
        b'{"HostConfig": {"Binds": null, "Mounts": null}}',
        b'{"HostConfig": {"Binds": "wrong", "Mounts": [1]}}',
        b'{"Image": "a"}',
        body_with(),
        body_with("/only-a-target"),
        body_with("name:/x", "name/with/slash:/x", "~/x:/x"),
        mount("/etc", Type="volume"),
        mount("", Type="tmpfs"),
        mount("relative"),
    ],
)
def test_a_source_that_is_no_host_path_passes(body: bytes, sharing: Sharing) -> None:
    assert check(body, sharing) is None


@pytest.mark.parametrize(
    "below", ["", "/", "/file", "/new/folder", "/a b/\u96ea,\u00e9", "/./x/../y"]
)
def test_a_path_below_a_share_passes(below: str, shared: Path, sharing: Sharing) -> None:
    assert check(body_with(f"{shared}{below}:/x:ro"), sharing) is None
    assert check(mount(f"{shared}{below}"), sharing) is None


@pytest.mark.parametrize(
    "path",
    [
        *("/", "/run", "/var/run", "/run/docker.sock", "/var/run/docker.sock"),
        *("/etc/group", "/etc/hosts", "/etc/localtime", "/etc/os-release", "/etc/passwd"),
        *("/etc/resolv.conf", "/etc/timezone"),
        *("/proc", "/sys", "/sys/fs/cgroup", "/dev", "/dev/shm"),
        *("/lib/modules", "/usr/lib/modules", "/etc/ssl/certs", "/etc/ssl/certs/ca.pem"),
        *("/run/containerd", "/run/docker", "/var/run/docker", "/run/docker/x"),
        *("/var/lib/containerd", "/var/lib/docker", "/var/lib/docker/volumes", "/var/log/"),
    ],
)
def test_a_path_of_the_guest_itself_passes(path: str, sharing: Sharing) -> None:
    assert check(body_with(f"{path}:/x"), sharing) is None


@pytest.mark.parametrize(
    "path",
    ["/etc", "/etc/shadow", "/run/user/1000/agent", "/home", "/procs", "/nowhere/x", "/usr/share"],
)
def test_every_other_path_is_refused(path: str, sharing: Sharing) -> None:
    for body in (body_with("name:/y", f"{path}:/x"), mount(path)):
        with pytest.raises(NotShared) as refused:
            check(body, sharing)
        assert refused.value.summary == (
            f"The folder {path} is not shared with Galley's virtual machine."
        )
        assert refused.value.hint


HOST_CONFIG = '{"HostConfig":{"Binds":["/etc:/x"]}'


@pytest.mark.parametrize(
    "body",
    [
        '{"HoſtConfig":{"bindſ":["/etc:/x"]}}',
        '{"HostConfig":{"Binds":[null,"/etc:/x"]}}',
        '{"HostConfig":{"Binds":["/etc:/x","\\ud800"]}}',
        '{"HostConfig":{"Binds":["/proc/\\u0000:/x"]}}',
        '{"HostConfig":{"Mounts":[{"Type":"bind","type":"bind","Source":"/a","source":"/etc"}]}}',
        HOST_CONFIG + "}}",
        HOST_CONFIG + ',"a":' + "[" * 100_000 + "]" * 100_000 + "}",
    ],
)
def test_a_body_that_only_dockerd_can_parse_is_refused(body: str, sharing: Sharing) -> None:
    with pytest.raises(NotShared):
        check(body.encode(), sharing)
    with pytest.raises(NotShared):
        check(body.encode().replace(b'"/x"', b'"/\xff"') + b"]", sharing)


@pytest.mark.parametrize(
    "body",
    [
        b'{"HostConfig":{"Binds":["/etc:/x"]},"hostconfig":{"Privileged":true}}',
        b'{"HostConfig":{"Binds":["/proc:/x","/etc:/y"],"binds":["/sys:/x"],"BINDS":[null,null]}}',
        b'{"HostConfig":{"Mounts":[{"Source":"/etc"}],"mounts":[{"Type":"bind"}]}}',
        b'{"Binds":["/etc:/x"]}',
        b'{"HostConfig":{"Binds":["/proc:/x"]},"HostConfig":null,"Binds":["/etc:/x"]}',
        b'{"Mounts":[{"Type":"bind","Source":"/etc","Target":"/x"}]}',
    ],
)
def test_a_bind_that_dockerd_merges_from_several_keys_is_refused(
    body: bytes, sharing: Sharing
) -> None:
    with pytest.raises(NotShared, match="/etc is not shared"):
        check(body, sharing)


@pytest.mark.parametrize(
    "body",
    [
        b'{"HostConfig":{"Binds":["/etc:/x"],"Binds":null,"Privileged":true}}',
        b'{"HostConfig":{"Binds":["/etc:/x"]},"HostConfig":null,"HostConfig":{"Privileged":true}}',
        b'{"HostConfig":{"Binds":["/etc:/x"],"binds":["/proc:/x"],"Privileged":true}}',
    ],
)
def test_a_value_that_a_later_key_replaces_is_dropped(body: bytes, sharing: Sharing) -> None:
    changed = check(body, sharing)
    assert changed is not None
    assert b"/etc" not in changed
    assert b'"Privileged":true' in changed


def test_top_level_binds_do_not_count_beside_a_host_config(sharing: Sharing) -> None:
    assert check(b'{"Binds":["/etc:/x"],"HostConfig":{}}', sharing) is None


@pytest.mark.parametrize("kind", ['"Type":"bind",', '"Type":"BIND",', '"Type":"",', ""])
def test_a_bind_mount_of_a_service_is_checked(kind: str, sharing: Sharing) -> None:
    mount = f'{{{kind}"Source":"/etc","Target":"/x"}}'
    body = f'{{"HostConfig":5,"TaskTemplate":{{"ContainerSpec":{{"Mounts":[{mount}]}}}}}}'
    with pytest.raises(NotShared):
        check_service(body.encode(), sharing)


def test_a_path_that_leads_out_of_a_share_is_refused(shared: Path, sharing: Sharing) -> None:
    (shared / "link").symlink_to("/etc")
    for path in ("..", "../other", "link", "link/shadow"):
        with pytest.raises(NotShared):
            check(body_with(f"{shared}/{path}:/x"), sharing)
    with pytest.raises(NotShared):  # the same prefix
        check(body_with(f"{shared}-2:/x"), sharing)


def test_the_hint_is_a_command_that_keeps_the_existing_shares(
    tmp_path: Path, sharing: Sharing
) -> None:
    folder = tmp_path / "my data"
    folder.mkdir()
    for path in (folder, folder / "file", folder / "new"):
        with pytest.raises(NotShared) as refused:
            check(body_with(f"{path}:/x"), sharing)
        assert refused.value.hint.endswith(
            f"galley settings set shares '~,{folder}' && galley restart"
        )


def test_the_hint_for_a_share_that_needs_a_restart(tmp_path: Path) -> None:
    sharing = Sharing("/nowhere", names=("~/x",), folders=(str(tmp_path),))
    with pytest.raises(NotShared) as refused:
        check(body_with(f"{tmp_path}/y:/x"), sharing)
    assert refused.value.hint.endswith("starts again: galley restart")


def test_a_system_folder_of_the_guest_has_no_hint_to_share_it(sharing: Sharing) -> None:
    with pytest.raises(NotShared) as refused:
        check(body_with("/usr/share/doc:/x"), sharing)
    assert "settings" not in refused.value.hint


def test_without_virtiofsd_the_error_has_the_reason() -> None:
    lacking = ToolMissing(Message("", "virtiofsd is not installed.", "Install it.")).to_problem()
    with pytest.raises(NotShared) as refused:
        check(body_with("/home/ann:/x"), Sharing("/nowhere", problem=lacking))
    assert refused.value.summary.endswith(lacking.summary)
    assert refused.value.hint == lacking.hint


def test_a_link_into_a_share_is_followed(tmp_path: Path, shared: Path, sharing: Sharing) -> None:
    (tmp_path / "link").symlink_to(shared)
    body = body_with(f"{tmp_path}/link/file:/x:ro,z", "name:/y", Unknown={"a": [1, 2.50]})
    changed = check(body, sharing)
    assert changed is not None
    assert json.loads(changed) == json.loads(
        body_with(f"{shared}/file:/x:ro,z", "name:/y", Unknown={"a": [1, 2.50]})
    )
    assert b"2.5" in changed


@pytest.mark.parametrize(
    ("mode", "more"),
    [("", ""), (":z,ro", ",readonly"), (":ro", ",readonly"), (":rw", ""), (":rprivate", "")],
)
def test_a_link_to_a_path_with_a_colon_is_refused_with_a_hint(
    mode: str, more: str, tmp_path: Path, shared: Path, sharing: Sharing
) -> None:
    (shared / "with:colon").mkdir()
    (tmp_path / "link").symlink_to(shared / "with:colon")
    with pytest.raises(NotShared) as refused:
        check(body_with(f"{tmp_path}/link:/x{mode}"), sharing)
    assert refused.value.summary == (
        f"The folder {tmp_path}/link is a link to {shared}/with:colon, "
        "and -v accepts no colon in a path."
    )
    mounted = f"--mount type=bind,source={tmp_path}/link,target=/x{more}"
    assert refused.value.hint.endswith(mounted)
    changed = check(mount(f"{tmp_path}/link"), sharing)
    assert changed is not None
    assert json.loads(changed)["HostConfig"]["Mounts"][0]["Source"] == f"{shared}/with:colon"


def test_the_hosts_docker_socket_is_replaced_by_the_guests(shared: Path) -> None:
    path = shared / "docker.sock"
    listening = socket.socket(socket.AF_UNIX)
    os.chdir(shared)
    listening.bind(path.name)
    sharing = Sharing(str(path), (Share(str(shared), str(shared)),))
    changed = check(body_with(f"{path}:/var/run/docker.sock"), sharing)
    listening.close()
    assert changed is not None
    assert json.loads(changed)["HostConfig"]["Binds"] == ["/run/docker.sock:/var/run/docker.sock"]


def test_unknown_fields_stay_unchanged(tmp_path: Path, shared: Path) -> None:
    (tmp_path / "link").symlink_to(shared)
    sharing = Sharing("/nowhere", (Share(str(shared), str(shared)),))
    one = f'{{"type":"bind","source":"{tmp_path}/link","New":1e400,"BindOptions":{{"X":null}}}}'
    tree = f'{{"Z":12345678901234567890,"hostconfig":{{"mounts":[{one}],"é":"\\ud83d\\ude00"}}}}'
    changed = check(tree.encode(), sharing)
    assert changed is not None
    assert changed.decode() == tree.replace(f"{tmp_path}/link", str(shared))


def test_binds_of_a_service_are_resolved_or_refused(
    tmp_path: Path, shared: Path, sharing: Sharing
) -> None:
    (tmp_path / "link").symlink_to(shared)

    def body(source: Path | str) -> bytes:
        one = {"Type": "bind", "Source": str(source), "Target": "/x"}
        task = {"TaskTemplate": {"ContainerSpec": {"Mounts": [one]}}, "Name": "a"}
        return json.dumps(task, separators=(",", ":")).encode()

    assert check_service(body(shared), sharing) == body(shared)
    assert check_service(body(tmp_path / "link"), sharing) == body(shared)
    with pytest.raises(NotShared):
        check_service(body("/srv/x"), sharing)


def test_another_users_folder_in_a_world_writable_share_is_refused(tmp_path: Path) -> None:
    """As in /tmp. The share itself may be bound."""
    tmp_path.chmod(0o1777)
    sharing = Sharing("/nowhere", (Share(str(tmp_path), str(tmp_path)),))
    (tmp_path / "mine").mkdir()
    (tmp_path / "theirs").mkdir()
    os.chown(tmp_path / "theirs", 12345, 12345)
    for path in (tmp_path, tmp_path / "mine", tmp_path / "mine" / "new"):
        assert check(body_with(f"{path}:/x"), sharing) is None
        assert check(mount(str(path)), sharing) is None
    (tmp_path / "mine" / "link").symlink_to(tmp_path / "theirs")
    for path in (tmp_path / "theirs", tmp_path / "theirs" / "new", tmp_path / "mine" / "link"):
        for body in (body_with(f"{path}:/x"), mount(str(path))):
            with pytest.raises(NotShared, match=f"{path} is not shared") as refused:
                check(body, sharing)
            assert f"{tmp_path}/theirs belongs to another user" in refused.value.hint


def test_a_folder_that_dockerd_would_create_is_created_first(tmp_path: Path) -> None:
    """Otherwise another user could create it between the check and dockerd's use."""
    tmp_path.chmod(0o1777)
    sharing = Sharing("/nowhere", (Share(str(tmp_path), str(tmp_path)),))
    with pytest.raises(NotShared, match="does not exist"):
        check(mount(f"{tmp_path}/new"), sharing)
    assert not (tmp_path / "new").exists()
    check(mount(f"{tmp_path}/new", BindOptions={"CreateMountpoint": True}), sharing)
    check(body_with(f"{tmp_path}/other/deep:/x"), sharing)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["new", "other"]


def test_galleys_private_folders_are_refused(tmp_path: Path, shared: Path) -> None:
    home = shared / ".local" / "galley"
    (home / "machine").mkdir(parents=True)
    (tmp_path / "link").symlink_to(home)
    private = private_folders.identities([str(home)])
    sharing = Sharing("/nowhere", (Share(str(shared), str(shared)),), private=private)
    for path in (home, home / "machine", home / "machine" / "id_ed25519", tmp_path / "link"):
        for body in (body_with(f"{path}:/x"), mount(str(path))):
            with pytest.raises(NotShared) as refused:
                check(body, sharing)
            assert "keys" in refused.value.hint
    assert check(body_with(f"{home.parent}:/x", f"{shared}:/y"), sharing) is None
