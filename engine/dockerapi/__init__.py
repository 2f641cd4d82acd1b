"""The supervisor's small Docker client: HTTP over a byte stream."""
