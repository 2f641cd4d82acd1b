"""The page of containers. `page.py` is the list, `detail.py` the inside of one, its tabs beside."""
