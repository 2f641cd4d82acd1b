"""The window: everything that a person sees. The only package that may import PySide6.

May import: `engine`, and of `vm` its types and errors. Read `app.py` first: it makes every
long-lived object once, in the order of the story. Then:

    connection.py   which engine is looked at, and whether it answers
    link.py         the supervisor: machine and settings
    stores/         what the engine has, kept true by its events
    models/         stores as Qt item models
    tasks.py        every piece of work; actions/ every intent of the user, one function each
    window.py       the frame; pages/ and dialogs/ what is in it; widgets/ what they are made of
    theme.py        colours and measures; text.py the language
"""
