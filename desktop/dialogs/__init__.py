"""Dialogs with fields. Each opens without blocking and calls back with the result."""
