"""The log view: millions of lines, with ANSI colours. Start at `view.py`."""
