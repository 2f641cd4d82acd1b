#!/bin/sh
# A user's session of systemd, on a computer without any: session.sh NAME
# In a group and namespaces of its own, so that this computer's stay as they are. As root.
set -eu
group=$(findmnt --noheadings --output TARGET --types cgroup2 | head -n 1)/$1
mkdir "$group"
echo $$ > "$group/cgroup.procs"
exec unshare --cgroup --mount sh -euc '
    mount -t cgroup2 none /sys/fs/cgroup
    mount -t tmpfs none /run/systemd
    mkdir /run/systemd/system # without it, systemd takes the computer for one of another kind
    exec /usr/lib/systemd/systemd --user --log-target=console'
