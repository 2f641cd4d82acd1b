"""The ways to run a machine: one module (or package) for each. Next: `vm/backend.py`."""
