"""The languages of the window: the catalogue, and the engine's sentences. Start at `text.py`."""
