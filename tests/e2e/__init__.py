"""A user's whole paths, on the real VM, through the `galley` command and the docker CLI."""
