"""How the engine starts, stops, is suspended and resumes.

Start at `start_steps.py` and `stopping.py`.
"""
