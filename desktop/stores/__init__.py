"""What an engine has, kept true. `store.py` is one list; `engine.py` keeps all of them."""
