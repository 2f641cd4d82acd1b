"""The agent stream: channels into the guest over one byte stream. Start at `session.py`."""
