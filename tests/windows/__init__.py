"""Tests of code for Windows, run by Python for Windows under Wine: start with `lane.py`."""
