"""
How one protocol says goodbye: a thin file each.

Importing this package registers the drainers that come with C{terminable}; those
for other people's libraries register themselves when the library is there.
"""

from __future__ import annotations

from terminable.drainers import raw, web

raw.register()
web.register()
