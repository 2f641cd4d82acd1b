"""Ports that containers publish, on this host. Next: `port_sync.py`, which wires the others."""
