"""The Terminal tab. `session.py` runs the shell, `tab.py` shows it."""
