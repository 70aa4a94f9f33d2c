"""
The admin door above workers.
"""

from __future__ import annotations

from typing import Any

from terminable.admin.above.api import WholeApi
from terminable.admin.door import AdminDoor


class WorkersDoor(AdminDoor):
    """
    Serves the admin API of all workers, in the process above them.

    It is told a L{terminable.admin.above.Whole}.  Each worker has to answer
    (L{terminable.admin.above.answerAbove}): one that does not is C{missing}.
    """

    makeApi: Any = WholeApi
