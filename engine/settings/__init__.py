"""The settings: their schema, the file, and how values are read. Start at `schema.py`."""
