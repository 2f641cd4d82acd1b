"""What the CLI and the window need besides the control socket: start the supervisor, keep the
machine awake, read logs.
"""
