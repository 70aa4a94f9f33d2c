"""
Who is served now, who waits, and who is refused: the decisions of
L{terminable.policy.admission}, in motion.
"""

from __future__ import annotations
