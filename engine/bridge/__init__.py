"""The docker socket on this host, connected to dockerd in the guest. Start at `bridge.py`."""
