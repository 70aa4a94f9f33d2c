"""
Fast clients are slowed, refused, or cut off: bytes and messages, for each connection, each
peer, and all together.
"""
