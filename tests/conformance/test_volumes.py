"""Volumes, and bind mounts of this computer's folders.

Next: `engine/shares/binds.py`.
"""

import os

from tests.conformance.engines import IMAGE, Engine
from tests.conformance.suite import Answers, on_both


@on_both
def test_volumes(engine: Engine, answer: Answers) -> None:
    made = engine.request("POST", "/volumes/create", {"Name": "vol", "Labels": {"a": "b"}})
    answer.fields("made", made.json, "Name", "Driver", "Labels", "Options", "Scope", "Mountpoint")
    answer("made again", engine.request("POST", "/volumes/create", {"Name": "vol"}).status)
    memory = {"type": "tmpfs", "device": "tmpfs", "o": "size=1m,uid=7"}
    engine.request("POST", "/volumes/create", {"Name": "memory", "DriverOpts": memory})
    run = ("run", "--rm", "-v", "vol:/data", "-v", "memory:/memory", IMAGE, "sh", "-c")
    answer(
        "written",
        engine.docker(*run, "echo kept > /data/file; ls -ldn /memory; id > /memory/x").all,
    )
    answer("read", engine.docker(*run, "cat /data/file; ls /memory").all)
    copied = ("run", "--rm", "-v", "fresh:/etc", IMAGE, "ls", "/etc")
    answer("filled from the image", engine.docker(*copied).out.split())
    answer(
        "not filled",
        engine.docker("run --rm -v empty:/etc:nocopy", IMAGE, "ls", "/etc").out.split(),
    )
    only = ("run", "--rm", "-v", "vol:/data:ro", IMAGE, "touch", "/data/x")
    answer("read only", engine.docker(*only).all)
    engine.docker("create --name holds -v vol:/data -v /anonymous", IMAGE, ok=True)
    answer(
        "from another",
        engine.once("--volumes-from holds:ro", line="cat /data/file; touch /data/x").all,
    )
    answer("mounts", engine.inspect("holds")["Mounts"][0]["Type"])
    answer("in use", engine.docker("volume rm vol").code)
    answer("dangling", engine.docker("volume ls -f dangling=true --format {{.Name}}").out.split())
    answer("filter", engine.docker("volume ls -qf label=a=b").all)
    engine.docker("rm -v holds", ok=True)
    answer("anonymous ones", sorted(engine.docker("volume ls -q").out.split()))
    answer("pruned", len(engine.request("POST", "/volumes/prune").json["VolumesDeleted"] or []))
    answer("pruned with names", engine.docker("volume prune -af").out.splitlines()[:1])


@on_both
def test_bind_mounts(engine: Engine, answer: Answers) -> None:
    folder = engine.folder("bound")
    (folder / "file").write_text("of the host")
    (folder / "below").mkdir(mode=0o750)
    (folder / "link").symlink_to("file")
    os.chown(folder / "file", 1000, 50)
    (folder / "file").chmod(0o4755)
    run = ("run", "--rm", "-v", f"{folder}:/in")
    answer(
        "seen",
        engine.docker(
            *run,
            IMAGE,
            "sh",
            "-c",
            "cd /in; ls -ln file | cut -c1-30; ls -ld below | cut -c1-10; readlink link; cat link",
        ).all,
    )
    write = (
        "cd /in; umask 027; echo made > new; mkdir dir; ln new hard; ln -s new soft; "
        "chown 7:8 new; mv dir moved; mkfifo pipe"
    )
    answer("written", engine.docker(*run, IMAGE, "sh", "-c", write).all)
    found = {path.name: path.lstat() for path in folder.iterdir()}
    for name in ("new", "hard", "soft", "moved", "pipe"):
        status = found[name]
        answer(f"on the host: {name}", [oct(status.st_mode), status.st_uid, status.st_gid])
    answer(
        "read only", engine.docker("run --rm -v", f"{folder}:/in:ro", IMAGE, "touch", "/in/x").all
    )
    answer(
        "as a user",
        engine.docker(
            *run, "-u", "nobody", IMAGE, "sh", "-c", "cat /in/below/x; echo > /in/file"
        ).all,
    )


@on_both
def test_options_that_mount_a_folder(engine: Engine, answer: Answers) -> None:
    folder = engine.folder("named")
    (folder / "file").write_text("of the host")
    (folder / "link").symlink_to("file")
    answer(
        "one file", engine.docker("run --rm -v", f"{folder}/file:/one", IMAGE, "cat", "/one").all
    )
    answer(
        "made by -v",
        engine.docker("run --rm -v", f"{folder}/made/deep:/in", IMAGE, "ls", "/in").all,
    )
    answer("is a folder", (folder / "made" / "deep").is_dir())
    mount = f"type=bind,source={folder}/missing,target=/in"
    answer("--mount of nothing", engine.once("--mount", mount).all)
    answer("a file as a folder", engine.once("-v", f"{folder}/file:/etc").all)
    engine.docker(
        "create --name holds -v",
        f"{folder}:/in:ro,rprivate",
        "-v",
        "/proc:/host:ro",
        IMAGE,
        ok=True,
    )
    host = engine.inspect("holds")
    answer("binds", sorted(host["HostConfig"]["Binds"]))
    answer("mounts", sorted(mounted["Destination"] for mounted in host["Mounts"]))
    in_volume = {"type": "none", "device": str(folder), "o": "bind"}
    made = engine.request("POST", "/volumes/create", {"Name": "bound", "DriverOpts": in_volume})
    answer("a volume on a folder", made.status)
    answer("its file", engine.docker("run --rm -v bound:/in", IMAGE, "cat", "/in/link").all)


@on_both
def test_changes_from_both_sides(engine: Engine, answer: Answers) -> None:
    folder = engine.folder("both")
    (folder / "file").write_text("first")
    engine.start("runs", HostConfig={"Binds": [f"{folder}:/in"]})

    def look() -> str:
        return engine.docker("exec runs cat /in/file").out

    answer("first", look())
    (folder / "file").write_text("second, and longer")
    answer("second", engine.eventually(look, lambda text: text.startswith("second")))
    (folder / "next").write_text("replaced")
    (folder / "next").rename(folder / "file")
    answer("replaced", engine.eventually(look, lambda text: text == "replaced"))
    engine.shell("runs", "echo inside > /in/file; rm -f /in/gone; touch /in/there", ok=True)
    answer("from inside", (folder / "file").read_text())
    answer("files", sorted(path.name for path in folder.iterdir()))
    for probe, path in {"xattr": "file", "tmpfile": "", "flock": "lock", "sparse": "hole"}.items():
        answer(probe, engine.docker("exec runs probe", probe, f"/in/{path}").all)
    answer(
        "large",
        engine.shell("runs", "head -c 3000000 /dev/zero > /in/large; wc -c < /in/large").all,
    )
    answer("its size", (folder / "large").stat().st_size)
