"""A Docker Engine that can be reached from this host: supervisor, bridge, command line, settings.

Never imports `desktop`. Start reading at `supervisor.py` and `engine.py`.
"""

__version__ = "0.1.0"
