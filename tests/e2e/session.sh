#!/bin/sh
# Starts a systemd user session on a computer without systemd: session.sh NAME
# It gets its own cgroup and namespaces, so that this computer's stay unchanged. Run as root.
set -eu
group=$(findmnt --noheadings --output TARGET --types cgroup2 | head -n 1)/$1
mkdir "$group"
echo $$ > "$group/cgroup.procs"
exec unshare --cgroup --mount sh -euc '
    mount -t cgroup2 none /sys/fs/cgroup
    mount -t tmpfs none /run/systemd
    mkdir /run/systemd/system # sd_booted(3) checks for this folder
    exec /usr/lib/systemd/systemd --user --log-target=console'
