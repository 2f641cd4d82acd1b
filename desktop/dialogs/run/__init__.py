"""The Run dialog: an image, ports, volumes, variables. Start at `dialog.py`."""
