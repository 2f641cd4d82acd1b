"""The widgets that pages are made of. Nothing here depends on Docker."""
