"""Ports that containers publish, on this host. Next: `published.py`, `starting.py`, `wanted.py`."""
