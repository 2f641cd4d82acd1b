"""Every intent of the user as one function: `containers.stop(app, rows)`. Each makes one task,
shows at once what is under way, and says what came of it.
"""
