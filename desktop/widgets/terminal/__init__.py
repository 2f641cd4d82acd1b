"""The terminal emulator: keys, the screen of pyte, painting. Start at `view.py`."""
