"""The guest image: its content, and how it is built.

Start reading at `build.py` (the steps), then `recipe.py` (the content) and `files/` (the guest).
"""
