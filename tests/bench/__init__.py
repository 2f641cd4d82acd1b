"""The benchmarks: each figure with its floor, both measured in one run.

    __main__.py   `python -m tests.bench [NAME…] [--json FILE] [--quick]`, also `./dev bench`
    figures.py    Row and Goal, a line of the table
    timing.py     alternating measurements, and waiting
    lab.py        one Galley in its own home, driven through the CLI
    http_endpoints.py  the Docker API through the bridge, and through QEMU's own forwarding
    ../native.py  a dockerd on this computer without a VM, as the reference
    window_probe.py  a window that measures itself
    boot.py ping.py bulk.py execs.py idle.py cli.py credentials.py run.py cycles.py window.py
    soak.py file_events.py snapshots.py  a group of figures each

Linux, as root, for `tests/native.py`. Next: `__main__.py`.
"""
