"""Charts of values over time."""
