"""
The admin door above workers: it answers for all of them.

Workers have no doors of their own.  They are asked by the channel that ties them to the
process above, and answer as their doors would.
"""

from __future__ import annotations

from terminable.admin.above.answering import answerAbove
from terminable.admin.above.door import WorkersDoor
from terminable.admin.above.whole import Whole

__all__ = ["Whole", "WorkersDoor", "answerAbove"]
