"""The settings. `page.py` is the whole, `fields.py` a setting with its words, `editors.py` what it
is changed with, `pending.py` what waits for a restart, `window_settings.py` those of the window,
`logins.py` the registry logins, `daemon.py` the editor of daemon.json.
"""
