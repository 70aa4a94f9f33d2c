"""
Which processes use a database file: each has a file beside it, and a lock on that for as long
as it lives.  The kernel takes the lock away, whatever ended the process.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from uuid import uuid4


def _path(database: str, name: str) -> str:
    return f"{database}-owner-{name}"


class Owner:
    """
    One process, or one of several stores in it.

    @ivar name: what it is called in the database.
    """

    def __init__(self, database: str) -> None:
        """
        Live.

        @param database: the path of the database file.
        @raise OSError: the file beside it cannot be made.
        """
        self.name = uuid4().hex
        self._path = _path(database, self.name)
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def leave(self) -> None:
        """
        Be gone.
        """
        forget(self._path)
        os.close(self._descriptor)


def forget(path: str) -> None:
    """
    Remove a file that may be gone.
    """
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


def isGone(database: str, name: str) -> bool:
    """
    @return: whether an owner has ended.  Its file is removed then.
    """
    path = _path(database, name)
    try:
        descriptor = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    else:
        forget(path)
        return True
    finally:
        os.close(descriptor)
