"""
C{python -m terminable ctl}: asks a server, by its admin door, how it is, and tells it what to do.

It speaks HTTP and nothing else: nothing of the server is loaded for it.
"""

from __future__ import annotations

from terminable.ctl.program import main

__all__ = ["main"]
