#!/bin/sh
# Run a command in a clone of a checkout, in a fresh Debian 13 that has git, python3 and no more.
#
#   tests/bare.sh CHECKOUT COMMAND…        as root; `./dev bare` calls it
#
# The clone holds the committed files, below a path with a space in it. The new root gets this
# machine's access to its package registries (name servers, proxies, certificates, settings of apt
# and pip) and nothing else. Mounts and processes are in their own namespaces, so they end with the
# command. The root is removed too, unless KEEP_BARE names a directory: that one is created if it is
# missing, reused otherwise, and kept.
set -eu

checkout=$1
shift
work=$(mktemp -d)
trap 'rm -rf --one-file-system "$work"' EXIT
root=${KEEP_BARE:-$work/root}
certificates=/etc/this-machine.crt

copy() { # a file or folder, to the same place in the new root
    [ ! -e "$1" ] || { mkdir -p "$root${1%/*}" && cp -rLT "$1" "$root$1"; }
}

if [ ! -e "$root/etc" ]; then
    echo "• Making a bare Debian in $root" >&2
    apt-config dump | grep '^Acquire::' > "$work/apt.conf"
    mmdebstrap --quiet --variant=minbase --include=git,python3 --aptopt="$work/apt.conf" \
        trixie "$root"
    # Under another name, for the package ca-certificates writes its own there.
    cp -L /etc/ssl/certs/ca-certificates.crt "$root$certificates"
    copy /etc/pip.conf
    copy "$HOME/.config/pip"
fi
copy /etc/resolv.conf
copy /etc/hosts
clone="/root/galley checkout"
[ -e "$root$clone" ] || git clone --quiet "file://$checkout" "$root$clone"
git -C "$root$clone" pull --quiet --ff-only

# Only variables for the access to the registries stay in the environment.
for name in $(env | sed -n -E 's/^([A-Za-z_][A-Za-z0-9_]*)=.*/\1/p'); do
    case $name in
        CI | TERM | PIP_* | *_proxy | *_PROXY) ;;
        *) unset "$name" ;;
    esac
done
export HOME=/root LANG=C.UTF-8 PIP_CERT=$certificates SSL_CERT_FILE=$certificates
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

# pivot_root, not chroot: in a chroot the kernel grants nobody a user namespace.
unshare --mount --pid --fork --kill-child sh -euc '
    root=$1 clone=$2
    shift 2
    mount --bind "$root" "$root"
    mount --rbind /dev "$root/dev"
    mount --rbind /sys "$root/sys"
    mount -t proc proc "$root/proc"
    cd "$root"
    pivot_root . .
    umount --lazy .
    cd "$clone"
    set +e
    "$@" # not exec: the first process of a PID namespace must reap orphans, as this shell does
    exit $?
' sh "$root" "$clone" "$@"
