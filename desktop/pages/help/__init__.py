"""Where somebody goes when something is wrong. `page.py` is the whole; `checks.py`, `logs.py`,
`keys.py` and `about.py` are its tabs; `fixes.py` says what a failed check can be mended with.
"""
