"""The window against a real dockerd, without a screen."""
