"""The page of volumes. `page.py` is the list, `detail.py` the inside of one, `menu.py` for both."""
