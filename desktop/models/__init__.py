"""Stores as Qt item models. `rows.py` is the one model; each list says its columns."""
