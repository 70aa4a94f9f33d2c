"""
How one protocol says goodbye: a thin file each.

Importing this package registers the drainer of everything that has no other; those for
libraries, C{twisted.web} among them, register themselves when the library is there.
"""

from __future__ import annotations

from terminable.drainers import raw

raw.register()
