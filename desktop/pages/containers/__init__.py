"""The page of containers. `page.py` is the list, `detail.py` the detail view, the others its
tabs."""
