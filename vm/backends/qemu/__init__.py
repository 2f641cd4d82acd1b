"""QEMU: the Galley machine on Linux and macOS. Start reading at `backend.py`.

Not on Windows: there WSL or Hyper-V run the machine. `qmp.py` and `command.py` describe what QEMU
would need there.
"""
