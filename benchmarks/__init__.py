"""
Programs that measure servers; their clients are also used by tests.
"""
