"""The same client calls against a native dockerd and against Galley; the answers are compared.

A scenario drives one engine and gives each answer a name. `suite.py` runs it on both engines and
compares the answers by name. A difference needs a reason in `differences.py`, or the test fails.
Next: `suite.py`, `engines.py`.
"""
