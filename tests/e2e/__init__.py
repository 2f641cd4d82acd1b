"""End-to-end tests on the real VM, through the `galley` command and the docker CLI."""
