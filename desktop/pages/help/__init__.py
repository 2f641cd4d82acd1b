"""The Help page. `page.py` is the page; `checks.py`, `logs.py`, `keys.py` and `about.py` are its
tabs; `fixes.py` has the buttons for failed checks.
"""
