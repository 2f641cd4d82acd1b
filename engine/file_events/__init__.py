"""Changes of files on this host, told to whoever watches them in a container.

    inotify.py   the host's kernel, asked
    tree.py      the folders below what containers have, watched one by one
    change.py    one change; what of many is worth sending; how it is written
    event_sender.py   the way to the guest, where events.c and event_module.c raise the same events
    events.py    the two threads, and what is in the way

virtiofs carries files and no events. What inotify says here is sent as it is, and the guest's own
kernel says it there, with the same names and kinds; no file is touched for it, so nothing comes
back as another change. Next: `events.py`.
"""
