"""Stores as Qt item models. `rows.py` is the model of all lists; each list declares its columns."""
