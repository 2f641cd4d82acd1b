"""The lists of an engine, kept current. `store.py` is one list; `engine.py` has all of them."""
