"""The programs and libraries that a checkout needs, and the script that installs their packages.

`./dev` reads this with whatever Python there is: standard library only, Python 3.9 or newer.
"""

from __future__ import annotations

import os
import platform
from typing import NamedTuple


class Need(NamedTuple):
    """A program or a library (lib….so, lib….a), and the Debian package that contains it."""

    program: str
    package: str


ARM = platform.machine() in ("aarch64", "arm64")
RUN = [
    Need("qemu-system-aarch64", "qemu-system-arm")
    if ARM
    else Need("qemu-system-x86_64", "qemu-system-x86"),
    Need("virtiofsd", "virtiofsd"),
]
BUILD = [
    Need("mmdebstrap", "mmdebstrap"),
    Need("mkfs.erofs", "erofs-utils"),
    Need("qemu-img", "qemu-utils"),
    Need("zstd", "zstd"),
    Need("cc", "gcc"),
    Need("libc.a", "libc6-dev"),
    *([] if os.geteuid() == 0 else [Need("newuidmap", "uidmap")]),
]
# The libraries that Qt loads from the system, with and without a screen.
WINDOW = [
    Need("libEGL.so.1", "libegl1"),
    Need("libGL.so.1", "libgl1"),
    Need("libdbus-1.so.3", "libdbus-1-3"),
    Need("libfontconfig.so.1", "libfontconfig1"),
    Need("libglib-2.0.so.0", "libglib2.0-0t64"),
    Need("libX11-xcb.so.1", "libx11-xcb1"),
    Need("libxkbcommon.so.0", "libxkbcommon0"),
    Need("libxkbcommon-x11.so.0", "libxkbcommon-x11-0"),
    Need("libxcb-cursor.so.0", "libxcb-cursor0"),
    Need("libxcb-icccm.so.4", "libxcb-icccm4"),
    Need("libxcb-image.so.0", "libxcb-image0"),
    Need("libxcb-keysyms.so.1", "libxcb-keysyms1"),
    Need("libxcb-randr.so.0", "libxcb-randr0"),
    Need("libxcb-render-util.so.0", "libxcb-render-util0"),
    Need("libxcb-shape.so.0", "libxcb-shape0"),
    Need("libxcb-shm.so.0", "libxcb-shm0"),
    Need("libxcb-sync.so.1", "libxcb-sync1"),
    Need("libxcb-xfixes.so.0", "libxcb-xfixes0"),
    Need("libxcb-xkb.so.1", "libxcb-xkb1"),
    Need("fc-list", "fontconfig"),
    Need("DejaVuSans.ttf", "fonts-dejavu-core"),
]
# The programs that run Python for Windows.
WINDOWS = [
    Need("wine", "wine"),
    Need("x86_64-w64-mingw32-gcc", "gcc-mingw-w64-x86-64-win32"),
    Need("python3.13", "python3.13"),
]
CHECK = [
    Need("docker", "docker-cli"),
    Need("dockerd", "docker.io"),
    Need("sshd", "openssh-server"),
    Need("ip", "iproute2"),
    Need("nft", "nftables"),
    Need("busybox", "busybox-static"),
    Need("docker-registry", "docker-registry"),
    Need("tinyproxy", "tinyproxy-bin"),
    Need("dbus-run-session", "dbus-daemon"),
    Need("gnome-keyring-daemon", "gnome-keyring"),
    Need("Xvfb", "xvfb"),
    Need("xdotool", "xdotool"),
    Need("matchbox-window-manager", "matchbox-window-manager"),
    Need("stalonetray", "stalonetray"),
    Need("gio", "libglib2.0-bin"),
    Need("org.gnome.system.proxy.gschema.xml", "gsettings-desktop-schemas"),
    Need("desktop-file-validate", "desktop-file-utils"),
    Need("inotifywait", "inotify-tools"),
    Need("systemd-run", "systemd"),
    Need("mkfs.btrfs", "btrfs-progs"),
    Need("mkfs.ext4", "e2fsprogs"),
    Need("redis-server", "redis-server"),
    Need("newuidmap", "uidmap"),
    Need("gpg", "gnupg"),
    Need("dpkg-deb", "dpkg"),
    Need("minisign", "minisign"),
]
# Run by root with the packages to install. Programs for tests must not become servers of this
# computer: none is started now, and none is enabled for the next boot. The package lists are
# fetched only if they are missing or too old.
INSTALL = """
set -eu
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
    trap "rm -f $policy" EXIT
    printf '#!/bin/sh\\nexit 101\\n' > $policy
    chmod +x $policy
fi
export DEBIAN_FRONTEND=noninteractive
get() { apt-get -y -o DPkg::Lock::Timeout=300 "$@"; }
get install --no-install-recommends "$@" ||
    { get update && get install --no-install-recommends "$@"; }
if command -v systemctl > /dev/null; then
    for package; do
        case $package in
            docker.io) systemctl disable docker.service docker.socket containerd.service ;;
            docker-registry) systemctl disable docker-registry.service ;;
            redis-server) systemctl disable redis-server.service ;;
            openssh-server) systemctl disable ssh.service ssh.socket ;;
        esac || echo "It stays enabled."
    done
fi
"""
