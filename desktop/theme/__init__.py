"""Colours, measures, the style sheet and icons. Start at `theme.py`."""
