"""The Stats tab. `feed.py` reads CPU, memory and traffic, `tab.py` draws them."""
