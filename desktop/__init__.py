"""The window: a client of the supervisor, in Qt. Nothing here yet.

May import: `engine`, vm's types and errors, PySide6 (which nothing else imports).
"""
