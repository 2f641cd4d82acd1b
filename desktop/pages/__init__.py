"""The pages of the window, one folder or file each. `page.py` is their base class."""
