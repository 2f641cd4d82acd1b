"""Shared folders of a QEMU machine: virtiofsd, its limits, SFTP. Start at `folders.py`."""
