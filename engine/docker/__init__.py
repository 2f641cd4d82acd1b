"""The Docker SDK for the window: values in, values out. Only this package imports `docker`.

Start at `client.py`.
"""
