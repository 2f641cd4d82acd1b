"""The same client calls against a native dockerd and against Galley; their answers are compared.

A scenario drives one engine and names what it answers. `suite.py` runs it on both engines and
compares each name. A difference needs a written reason in `differences.py`; without one it fails.
Next: `suite.py`, `engines.py`.
"""
