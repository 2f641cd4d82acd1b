"""The engine's page. `page.py` is the whole, `cards.py` its parts, `verbs.py` what is possible."""
