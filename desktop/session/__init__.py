"""What lives as long as the window and runs beside it: the supervisor, the engine, tasks. Start at
`link.py`.
"""
