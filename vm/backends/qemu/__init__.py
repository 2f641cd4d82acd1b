"""QEMU: the Galley machine on Linux and macOS. Start reading at `backend.py`.

Not Windows: there WSL or Hyper-V run the machine; what QEMU would need is written down in `qmp.py`
and `command.py`.
"""
