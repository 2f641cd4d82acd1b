"""How the engine starts, stops, is suspended and resumes.

Start at `starting.py`, `stopping.py` and `reactions.py`.
"""
