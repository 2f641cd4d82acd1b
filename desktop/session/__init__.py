"""Long-lived objects beside the window: the supervisor, the engine, tasks. Start at `link.py`."""
