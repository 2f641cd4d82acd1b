"""The page of networks. `page.py` is the list, `map.py` the map of networks and containers, laid
out by `map_layout.py`; `detail.py` the detail view, `menu.py` the actions.
"""
