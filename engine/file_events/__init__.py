"""Forwards file changes on this host to programs in containers that watch them.

    inotify.py        the host's inotify(7)
    tree.py           the folders below the bind mounts, watched one by one
    change.py         a change, its encoding, and removal of repeated changes
    event_sender.py   the connection to the guest, where events.c and event_module.c raise them
    events.py         the two threads, and the problems

virtiofs transfers files but no events. An event of the host is sent unchanged, and the guest's
kernel raises it with the same name and kind. No file is touched for it, so it causes no further
event. Next: `events.py`.
"""
