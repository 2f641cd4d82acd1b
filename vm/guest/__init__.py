"""Connections to the guest: ssh, the relay, the guest agent. Start at `protocol.py`."""
