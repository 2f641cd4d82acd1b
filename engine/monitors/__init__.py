"""Watches of the running machine: its clock, its events, free disk space, memory."""
