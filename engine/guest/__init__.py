"""What goes into the virtual machine, and how it is built.

Start reading at `build.py` (the story), then `recipe.py` (the content) and `files/` (the guest).
"""
