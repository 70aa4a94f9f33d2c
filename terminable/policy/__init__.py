"""
Decisions: pure, without Twisted, clocks or Deferreds.
"""
