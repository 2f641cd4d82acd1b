"""What the CLI and the window need of the supervisor beside its control socket: start it, keep the
engine awake, read its logs.
"""
