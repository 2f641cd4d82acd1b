"""The Logs tab. `feed.py` reads the log, `tab.py` shows it."""
