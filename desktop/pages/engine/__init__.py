"""The engine's page. `page.py` is the page, `cards.py` its parts, `verbs.py` its actions."""
