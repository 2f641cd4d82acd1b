"""Kernel modules: a start and `docker run` load what they use, and others come on demand."""

import subprocess
from pathlib import Path

import pytest

from engine.guest.recipe import BOOT_MODULES, EARLY_MODULES
from tests.e2e.galley import IMAGE, Galley
from vm.host import net

# Those that the guest's scripts load, and the kernel for them.
OWN = {
    *("virtio_net", "virtio_balloon", "virtiofs", "fuse", "galley_events"),
    *("act_csum", "act_pedit", "cls_flower", "sch_ingress", "xt_REDIRECT"),  # network
    *("nft_ct", "nft_flow_offload", "nf_flow_table_inet"),  # flows
    *("nft_reject_inet", "nft_socket"),  # host-loopback
    *("button", "evdev"),
}
DOCKER_28 = {"ip_set", "iptable_raw", "xt_set"}  # for its rules against direct access
ESP = {"esp4", "gcm", "seqiv"}


def loaded(galley: Galley) -> set[str]:
    lines = galley.run("shell", "cat", "/proc/modules").stdout.decode().splitlines()
    return {line.split()[0] for line in lines}


def with_needed(galley: Galley, names: set[str]) -> set[str]:
    """The modules and those that they need, by the guest's modules.dep."""
    table = galley.run("shell", "sh", "-c", "cat /lib/modules/*/modules.dep").stdout.decode()
    found = set(names)
    for line in table.replace(".ko", "").splitlines():
        name, _, needed = line.partition(":")
        found |= set(needed.split()) if name in names else set()
    return found


@pytest.mark.usefixtures("no_containers")
def test_a_start_and_docker_run_load_only_what_they_use(galley: Galley) -> None:
    galley.run("restart")
    port = net.free_port()
    galley.docker("run", "-d", "-p", f"{port}:80", IMAGE, "sleep", "100000")
    galley.wait_for(lambda: "evdev" in loaded(galley), "the last service has started")
    expected = with_needed(galley, {*EARLY_MODULES, *BOOT_MODULES, *OWN, *DOCKER_28})
    assert loaded(galley) <= expected
    rare = {"ip_vs", "vxlan", "wireguard", "macvlan", "cifs", "nfsv4", "ip6_tables", *ESP}
    assert not rare & expected


def test_the_modules_for_encrypted_networks_are_loaded_on_demand(
    galley: Galley, tmp_path: Path
) -> None:
    """dockerd adds IPsec states only for other nodes; a program adds one like them."""
    program, source = tmp_path / "esp_state", Path(__file__).with_name("esp_state.c")
    subprocess.run(["cc", "-static", "-o", program, source], check=True)
    there = "cat > /run/esp_state && chmod +x /run/esp_state && /run/esp_state; rm /run/esp_state"
    done = galley.run("shell", "sh", "-c", there, stdin=program.read_bytes())
    assert (done.stdout, done.stderr) == (b"", b"")
    assert loaded(galley) >= ESP
