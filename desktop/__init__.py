"""The window. The only package that may import PySide6.

Read `app.py` first: it makes every long-lived object, in order. Then:

    session/     the supervisor, the current engine, tasks in threads
    stores/      the lists of an engine, updated by its events
    models/      stores as Qt item models
    actions/     the user's intents, one function each
    window.py    the frame; pages/ and dialogs/ are in it; widgets/ are their parts
    theme/       colours and measures; i18n/ the languages
"""
