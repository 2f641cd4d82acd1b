"""What is Windows' own, run by Python for Windows under Wine: start with `lane.py`."""
