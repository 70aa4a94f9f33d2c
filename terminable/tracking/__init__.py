"""
One connection: how it is recorded, looked at, and lost without harm.
"""
