"""The QEMU command line, word by word, against tests/golden/qemu.

A golden file has one option per line, with its value after the first blank; edit it by hand. Only
the two files for Linux/x86_64 have been run by QEMU; the others are unverified.
"""

from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath

import msgspec
import pytest

from vm.backends.qemu.command import Launch, arguments, probe_arguments

GOLDEN = Path(__file__).parents[4] / "golden" / "qemu"


def launch(system: str, arch: str, accelerator: str) -> Launch:
    home: PurePath = PurePosixPath("/home/ann/.local/share/galley")
    if system == "Windows":
        home = PureWindowsPath(r"C:\Users\ann\AppData\Local\galley")
    return Launch(
        program=f"qemu-system-{arch}",
        system=system,
        arch=arch,
        accelerator=accelerator,
        cpus=4,
        memory_bytes=4 << 30,
        image=home / "images" / "trixie-1",
        data_disk=home / "machine" / "data.img",
        uuid="7c3c9b1e-6b0f-4a57-9c57-0d7b8f0f7d11",
        ssh_port=40022,
        qmp_socket=home / "run" / "qmp.sock",
        events_socket=home / "run" / "events.sock",
        relay_socket=home / "run" / "relay.sock",
        console_log=home / "logs" / "console.log",
        guest_options=("galley.key=AAAA", "galley.format=1"),
        memory_file=PurePosixPath("/proc/self/fd/5") if system == "Linux" else None,
    )


CASES = {
    "linux-kvm": launch("Linux", "x86_64", "kvm"),
    "linux-tcg": launch("Linux", "x86_64", "tcg"),
    "macos-hvf-x86_64": launch("Darwin", "x86_64", "hvf"),
    "macos-hvf-arm64": launch("Darwin", "aarch64", "hvf"),
    "windows-whpx": launch("Windows", "x86_64", "whpx"),
}
RUN = PurePosixPath("/home/ann/.local/share/galley/run")
CASES["linux-kvm-shares"] = msgspec.structs.replace(
    CASES["linux-kvm"], share_sockets=(RUN / "share0.sock", RUN / "share1.sock")
)
CASES["linux-kvm-handover"] = msgspec.structs.replace(
    CASES["linux-kvm"], initramfs=PurePosixPath("/home/ann/.local/share/galley/machine/initramfs")
)


CASES["linux-tcg-resume"] = msgspec.structs.replace(CASES["linux-tcg"], waits=True)


def compare(name: str, words: list[str]) -> None:
    lines = (GOLDEN / f"{name}.txt").read_text().splitlines()
    assert words == [word for line in lines for word in line.split(" ", 1)]


@pytest.mark.parametrize("name", CASES)
def test_the_command_line_of_a_machine(name: str) -> None:
    compare(name, arguments(CASES[name]))


def test_the_command_line_of_the_probe_guest() -> None:
    compare("probe-linux-kvm", probe_arguments(CASES["linux-kvm"]))


def test_a_chosen_cpu_model_is_passed_unchanged() -> None:
    words = arguments(msgspec.structs.replace(CASES["linux-kvm"], cpu_model="max,-avx512f"))
    assert words[words.index("-cpu") + 1] == "max,-avx512f"


@pytest.mark.parametrize(
    ("arch", "model"), [("x86_64", "Westmere,+rdrand"), ("aarch64", "cortex-a72")]
)
def test_emulation_uses_a_basic_cpu_model(arch: str, model: str) -> None:
    words = arguments(launch("Linux", arch, "tcg"))
    assert words[words.index("-cpu") + 1] == model


def test_commas_in_paths_are_escaped() -> None:
    folder = PurePosixPath("/home/a,b/galley")
    words = arguments(
        msgspec.structs.replace(
            CASES["linux-tcg"],
            image=folder,
            data_disk=folder / "data.img",
            qmp_socket=folder / "qmp.sock",
            events_socket=folder / "events.sock",
            relay_socket=folder / "relay.sock",
            console_log=folder / "console.log",
        )
    )
    assert "socket,id=qmp,path=/home/a,,b/galley/qmp.sock,server=on,wait=off" in words
    assert "file,id=console,path=/home/a,,b/galley/console.log,append=on" in words
    disks = [msgspec.json.decode(word) for word in words if word.startswith("{")]
    assert [disk["file"]["filename"] for disk in disks] == [
        "/home/a,b/galley/root.qcow2",
        "/home/a,b/galley/data.img",
    ]


def test_only_ssh_is_forwarded_and_only_to_this_computer() -> None:
    for case in CASES.values():
        forwarded = [word for word in arguments(case) if "hostfwd" in word]
        assert forwarded == ["user,id=net,hostfwd=tcp:127.0.0.1:40022-:22"]
