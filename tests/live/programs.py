"""
Programs that are not ours, and may not be there.
"""

from __future__ import annotations

import os
import shutil
from unittest import SkipTest


def program(name: str, package: str) -> str:
    """
    The path of a program.

    @param package: the Debian package that it is in.
    @raise SkipTest: it is not installed.
    @raise AssertionError: it is not installed, and should be: C{CI} is set.
    """
    path = shutil.which(name)
    if path is not None:
        return path
    missing = f"{name} is not installed (Debian package {package})"
    if os.environ.get("CI"):
        raise AssertionError(missing)
    raise SkipTest(missing)
