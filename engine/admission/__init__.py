"""Requests that create or start a container, checked and completed before dockerd sees them."""
