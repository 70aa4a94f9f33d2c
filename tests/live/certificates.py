"""
Certificates for tests.
"""

from __future__ import annotations

from terminable.testing.selfsigned import pair as pair
from terminable.testing.selfsigned import selfSigned as selfSigned
