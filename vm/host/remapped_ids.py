"""Ids of users and groups in containers that have a user namespace of the guest.

In the guest such a container's id n is `offset` + n, for the first COUNT ids. A shared folder adds
the same offset to the owners of its files, so a container sees the same owners with and without a
user namespace. An offset of 0 stands for none. Next: `vm/backends/qemu/shares/virtiofsd.py`,
`vm/sftp/folder.py`.
"""

COUNT = 65536


def in_guest(owner: int, offset: int) -> int:
    """An owner on this host as the guest sees it. One that a container has no id for is its root,
    which may then do everything with the file."""
    if not offset:
        return owner
    return offset + owner if owner < COUNT else offset


def on_host(owner: int, offset: int) -> int:
    """What an owner that the guest sets is on this host. Ids of the guest itself stay."""
    return owner - offset if offset <= owner < offset + COUNT else owner
