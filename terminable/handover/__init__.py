"""
To another process: listening sockets, live connections, readiness, and what is undone if
the other one fails.
"""
