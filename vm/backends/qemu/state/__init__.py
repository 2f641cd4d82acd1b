"""Memory and device state of a QEMU machine on disk: suspended, or as a boot checkpoint. Start at
`suspend.py` and `boot_checkpoint.py`.
"""
