"""Images: tags, history, save and load, import and commit, and builds of both builders.

Next: `test_compose.py`.
"""

import io
import json
import tarfile
from pathlib import Path
from typing import Any

from tests.conformance.engines import IMAGE, Engine
from tests.conformance.suite import Answers, on_both

DOCKERFILE = f"""\
FROM {IMAGE} AS first
ARG GIVEN=default
ENV FROM_ARG=$GIVEN
WORKDIR /app
COPY --chown=nobody:staff file /app/file
RUN echo "built as $(id -un) with $GIVEN" > /app/built && chmod 600 /app/built
RUN ["touch", "/app/array"]

FROM {IMAGE}
COPY --from=first /app /app
ADD packed.tar /unpacked/
LABEL own=label
EXPOSE 8080/tcp
VOLUME /vol
USER nobody
ENTRYPOINT ["cat"]
CMD ["/app/file"]
HEALTHCHECK --interval=5s CMD true
"""
BUILDX = "buildx build --progress plain --provenance=false"
LOOK = "cd /app; ls -ln | cut -c1-40; cat built; ls /unpacked"


def context(engine: Engine, dockerfile: str = DOCKERFILE) -> Path:
    folder = engine.folder("context")
    (folder / "Dockerfile").write_text(dockerfile)
    (folder / "file").write_text("content\n")
    (folder / "secret").write_text("hidden")
    (folder / "ignored").write_text("x")
    (folder / ".dockerignore").write_text("ignored\n")
    with tarfile.open(folder / "packed.tar", "w") as tar:
        tar.addfile(tarfile.TarInfo("from-the-archive"))
    return folder


@on_both
def test_images(engine: Engine, answer: Answers) -> None:
    found = engine.inspect(f"{IMAGE}/json", "images")
    del found["Metadata"]  # when it was tagged: one engine has imported it, the other loaded it
    answer.fields(
        "image",
        found,
        "Id",
        "RepoTags",
        "RepoDigests",
        "Architecture",
        "Os",
        "Size",
        "RootFS",
        "Config",
    )
    answer("history", engine.request("GET", f"/images/{IMAGE}/history").json)
    for tag in ("other", "other:2", "localhost:5000/a/b:c", "bad tag", "UPPER"):
        answer(f"tag {tag}", engine.docker("tag", IMAGE, tag).all)
    shown = ("--format", "{{.Repository}}:{{.Tag}} {{.Size}}")
    for filters in (
        (), ("-a",), ("other",), ("other:*",),
        ("-f", "reference=*/a/*"), ("-f", "label=base=image"),
        ("-f", "dangling=true"), ("-f", f"before={IMAGE}"), ("-f", "odd=1"), ("--digests",),
    ):  # fmt: skip
        listed = engine.docker("images", *filters, *shown)
        answer(
            " ".join(("images", *filters)),
            [listed.code, sorted(listed.out.split("\n")), listed.err],
        )
    answer("untag", engine.docker("rmi other:2").all)
    saved = engine.request("GET", "/images/get?names=other&names=localhost:5000/a/b:c").body
    with tarfile.open(fileobj=io.BytesIO(saved)) as tar:
        answer("saved", sorted(name.rpartition("/")[2] for name in tar.getnames()))
    engine.docker("rmi other localhost:5000/a/b:c", ok=True)
    load = {"Content-Type": "application/x-tar"}
    answer("loaded", engine.request("POST", "/images/load?quiet=1", saved, load).body.decode())
    engine.create("uses")
    answer("in use", engine.request("DELETE", f"/images/{found['Id']}").verdict)
    answer(
        "commit",
        engine.docker(
            "commit -c 'ENV A=b' -c", 'CMD ["x"]', "-m", "why", "-a", "who", "uses", "made"
        ).code,
    )
    made = engine.inspect("made/json", "images")
    answer.fields("committed", made, "Config", "Comment", "Author", "RepoTags", "RootFS")
    answer("layers", len(engine.request("GET", "/images/made/history").json))
    imported = engine.docker("import -c 'CMD x' -m note - brought", stdin=saved)
    answer("imported", imported.code)
    answer("its config", engine.inspect("brought/json", "images")["Config"]["Cmd"])
    answer("pruned", len(engine.request("POST", "/images/prune").json["ImagesDeleted"] or []))
    answer("not in any registry", engine.docker("run --pull never gone").all)


@on_both
def test_the_classic_builder(engine: Engine, answer: Answers) -> None:
    folder = context(engine)
    engine.env["DOCKER_BUILDKIT"] = "0"
    try:
        built = engine.docker("build -q -t built --build-arg GIVEN=mine", str(folder))
        answer("build", {"code": built.code, "out": built.out})
        _look(engine, answer)
        again = engine.docker("build -t built --build-arg GIVEN=mine", str(folder))
        answer("from its cache", again.out.count("Using cache"))
        for name, dockerfile in {
            "odd word": "NONSENSE x",
            "no FROM": "RUN true",
            "fails": f"FROM {IMAGE}\nRUN exit 7",
            "no file": f"FROM {IMAGE}\nCOPY gone /x",
            "an ignored file": f"FROM {IMAGE}\nCOPY ignored /x",
            "empty": "",
        }.items():
            (folder / "Dockerfile").write_text(dockerfile)
            done = engine.docker("build --no-cache", str(folder))
            answer(name, {"code": done.code, "err": done.err.splitlines()[-1:]})
    finally:
        del engine.env["DOCKER_BUILDKIT"]


def _look(engine: Engine, answer: Answers) -> None:
    """Compares the built image."""
    config = engine.inspect("built/json", "images")["Config"]
    answer.some(
        "built",
        config,
        "Entrypoint",
        "Cmd",
        "User",
        "ExposedPorts",
        "Volumes",
        "Labels",
        "Healthcheck",
        "Env",
    )
    answer("built: run", engine.docker("run --rm built").all)
    look = ("run", "--rm", "-u", "0", "--entrypoint", "sh", "built", "-c", LOOK)
    answer("built: files", engine.docker(*look).all)


@on_both
def test_buildx(engine: Engine, answer: Answers) -> None:
    folder = context(engine)
    given = ("--build-arg", "GIVEN=mine")
    built = engine.docker(BUILDX, *given, "-t", "built", str(folder))
    answer("build", built.code)
    _look(engine, answer)
    again = engine.docker(BUILDX, *given, "-t", "built", str(folder))
    answer("from its cache", again.err.count("CACHED"))
    answer(
        "a stage",
        engine.docker(BUILDX, *given, "--target", "first", "-t", "first", str(folder)).code,
    )
    mounts = (
        f"FROM {IMAGE}\n"
        "RUN --mount=type=secret,id=s --mount=type=cache,target=/cache "
        "--mount=type=bind,target=/context --mount=type=tmpfs,target=/t "
        "cat /run/secrets/s | wc -c > /size && "
        "echo >> /cache/x && wc -l < /cache/x > /lines && "
        "cat /context/file > /bound && mount | grep -c ' /t ' > /tmpfs\n"
        "COPY --chmod=700 --link file /linked\n"
        "RUN --network=none <<END\nls /sys/class/net | wc -l > /links\necho here > /document\nEND\n"
    )
    (folder / "Dockerfile").write_text(
        f"{mounts}FROM scratch\n"
        "COPY --from=0 /size /lines /bound /tmpfs /links /document /linked /\n"
    )
    out = folder / "out"
    local = engine.docker(
        BUILDX, "--secret", f"id=s,src={folder}/secret", "-o", str(out), str(folder)
    )
    answer("to a folder", local.code)
    for name in ("size", "lines", "bound", "tmpfs", "links", "document", "linked"):
        answer(f"mount: {name}", (out / name).read_text())
    answer("mode", oct((out / "linked").stat().st_mode))
    (folder / "Dockerfile").write_text("FROM base\nCOPY --from=extra file /extra\n")
    contexts = (f"base=docker-image://{IMAGE}", f"extra={folder}")
    words = [word for one in contexts for word in ("--build-context", one)]
    answer("contexts", engine.docker(BUILDX, *words, "-t", "extra", str(folder)).code)
    answer(
        "stdin", engine.docker(BUILDX, "-t", "stdin", "-", stdin=f"FROM {IMAGE}\nENV A=b\n").code
    )


@on_both
def test_errors_of_buildx(engine: Engine, answer: Answers) -> None:
    folder = context(engine)
    for name, dockerfile in {
        "odd word": "NONSENSE x",
        "fails": f"FROM {IMAGE}\nRUN echo said; exit 7",
        "no file": f"FROM {IMAGE}\nCOPY gone /x",
        "an ignored file": f"FROM {IMAGE}\nCOPY ignored /x",
        "no secret": f"FROM {IMAGE}\nRUN --mount=type=secret,id=none,required=true true",
        "not allowed": f"FROM {IMAGE}\nRUN --security=insecure true",
    }.items():
        (folder / "Dockerfile").write_text(dockerfile)
        done = engine.docker(BUILDX, "--no-cache", str(folder))
        answer(name, {"code": done.code, "err": done.err.splitlines()[-1:]})


@on_both
def test_bake(engine: Engine, answer: Answers) -> None:
    folder = context(engine)
    bake: dict[str, Any] = {"group": {"default": {"targets": ["a", "b"]}}, "target": {}}
    for target in ("a", "b"):
        bake["target"][target] = {
            "dockerfile-inline": f"FROM {IMAGE}\nENV NAME={target}",
            "tags": [f"baked-{target}"],
        }
    (folder / "docker-bake.json").write_text(json.dumps(bake))
    answer("bake", engine.run("docker", "buildx", "bake", "--provenance=false", folder=folder).code)
    answer("baked", sorted(engine.docker("images 'baked-*' --format {{.Repository}}").out.split()))
    builder = engine.docker("buildx inspect default").out
    wanted = ("Driver:", "Status:", "Buildkit:", "Platforms:")
    answer(
        "builder",
        [line.strip() for line in builder.splitlines() if line.strip().startswith(wanted)],
    )
    answer("usage", engine.docker("buildx du").code)
    answer("pruned", engine.docker("builder prune -af").code)
