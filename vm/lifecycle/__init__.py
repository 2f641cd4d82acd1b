"""The machine's lifecycle: start steps, stop, suspend, snapshots, on one worker thread.

Start at `machine.py`.
"""
