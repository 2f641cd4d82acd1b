"""The widgets that pages are made of. Nothing here knows Docker."""
