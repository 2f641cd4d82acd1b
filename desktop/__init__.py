"""The window: everything that a person sees. The only package that may import PySide6.

Read `app.py` first: it makes every long-lived object once, in the order of the story. Then:

    session/     the supervisor, the engine that is shown, tasks in threads
    stores/      what the engine has, kept true by its events
    models/      stores as Qt item models
    actions/     the user's intents, one function each
    window.py    the frame; pages/ and dialogs/ what is in it; widgets/ what they are made of
    theme/       colours and measures; i18n/ the languages
"""
