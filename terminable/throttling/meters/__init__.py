"""
How the messages of one kind of protocol are counted, held and refused: one file each.
"""
