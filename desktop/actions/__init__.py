"""The user's intents, one function each: `containers.stop(app, rows)`. Each starts one task, shows
at once what is under way, and shows the result.
"""
