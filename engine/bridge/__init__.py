"""The docker socket on this host, carried to dockerd in the guest. Start at `bridge.py`."""
