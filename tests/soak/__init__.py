"""
Servers that are stopped, renewed, drained and ended by force for as long as somebody likes, under
a load of clients that never retry: C{python -m tests.soak --minutes 10}.
"""
