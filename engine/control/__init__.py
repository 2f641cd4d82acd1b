"""How clients talk to the supervisor.

Start at `protocol.py` (what crosses the socket); then `server.py` and `client.py`, its two ends.
"""
