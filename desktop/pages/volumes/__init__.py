"""The page of volumes. `page.py` is the list, `detail.py` the detail view, `menu.py` the
actions."""
