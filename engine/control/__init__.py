"""How clients talk to the supervisor. May import: `vm`, `engine.types`, msgspec, the stdlib.

Start at `protocol.py` (what crosses the socket); then `server.py` and `client.py`, its two ends.
"""
