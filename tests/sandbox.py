"""Runs a command that can change files only in one folder; for tests of mutants.

As root the command gets its own mount namespace: every file system is read-only, except the folder,
an empty /run, and the kernel's file systems (/dev, /proc, /sys). Its mounts and the network
namespaces that `ip netns` keeps in /run end with its processes. Users other than root cannot mount,
so the command runs unconfined. Linux only. Next: `mutants.py`.
"""

import os
from pathlib import Path

# Mounts beside the folder belong to other tests, which may wait for their last unmount.
SETUP = """
folder=$1
shift
mount --bind "$folder" "$folder" || exit
while read -r _ place _; do
    case $place in
        "$folder" | /dev | /dev/* | /proc | /proc/* | /sys | /sys/*) ;;
        "${folder%/*}"/* | /run/*) umount --lazy "$place" ;;
        *) mount -o remount,bind,ro "$place" ;;
    esac
done < /proc/self/mounts 2> /dev/null
mount -t tmpfs run /run || exit
if [ -w / ]; then exit 1; fi
cd "$folder" || exit
exec "$@"
"""


def confined(folder: Path, command: list[str]) -> list[str]:
    """`command` wrapped so that it can write only to `folder` (a real path)."""
    if os.geteuid() != 0:
        return command
    return ["unshare", "--mount", "sh", "-c", SETUP, "sh", str(folder), *command]
