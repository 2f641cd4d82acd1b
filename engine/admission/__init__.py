"""Requests that create or start a container, checked and completed before dockerd sees them.

`admission.py` is the object that the bridge calls, `create_request.py` what is read of a body, and
`go_json.py` how. `additions.py` is what Galley adds to a request.
"""
