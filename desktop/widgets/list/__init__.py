"""Tables and trees with painted rows. Start at `table.py`."""
