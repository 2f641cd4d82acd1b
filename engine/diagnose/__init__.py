"""`galley diagnose`: checks of what may be wrong, and a bundle for bug reports.

    facts.py       what the checks are given, and what a check is
    host.py        checks of this computer: folders, disk, memory, settings, proxy, login
    machine.py     checks of the virtual machine: backend, accelerator, image, clock
    docker.py      checks of Docker: supervisor, socket, daemon.json, context, logins, ports
    run.py         gathers the facts and runs every check
    bundle.py      one file with everything for a bug report
    harmless.py    the fields of dockerd's answers that go into it
    redact.py      keeps secrets out of it

To add a check: a `Check` in the file of its subject, and its name in `run.CHECKS`.
"""
