"""The bench: what Galley costs, each figure beside its floor, both taken in one run.

    __main__.py   `python -m tests.bench [NAME…] [--json FILE] [--quick]`, also `./dev bench`
    figures.py    Row and Goal, a line of the table
    timing.py     measuring turn about, and waiting
    lab.py        one Galley in a home of its own, driven as a user would
    http_endpoints.py  the docker API through the bridge, and raw through QEMU's own forwarding
    native.py     a dockerd on this computer without any VM, to compare with
    window_probe.py  a window that measures itself
    boot.py ping.py bulk.py execs.py idle.py cli.py credentials.py run.py cycles.py window.py
    soak.py file_events.py snapshots.py  a group of figures each

Linux, as root, for `tests/native.py`. Next: `__main__.py`.
"""
