"""The Inside tab: namespaces, layers, limits, processes of a container. Start at `tab.py`."""
