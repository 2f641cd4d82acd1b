"""The page of networks. `page.py` is the list, `map.py` the picture of who is on what, drawn as
`map_layout.py` says; `detail.py` the inside of one, `menu.py` for all of them.
"""
