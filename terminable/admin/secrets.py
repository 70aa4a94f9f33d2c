"""
The token that opens the admin door.
"""

from __future__ import annotations

import os
import stat

from terminable.errors import InvalidOption

#: How long it must be, and may be, in characters.
SHORTEST = 16
LONGEST = 4096

_EXPECTED = f"{SHORTEST} to {LONGEST} visible ASCII characters"

#: What is shown of one that cannot be meant.
_HIDDEN = "a token"


def tokenOf(given: str | bytes | None) -> bytes | None:
    """
    @return: the token; C{None} if there is none.
    @raise InvalidOption: it cannot be meant; the token itself is not named.
    """
    if given is None:
        return None
    if isinstance(given, str):
        given = given.encode("utf-8", "surrogateescape")
    visible = isinstance(given, bytes) and all(0x20 < byte < 0x7F for byte in given)
    if not visible or not SHORTEST <= len(given) <= LONGEST:
        raise InvalidOption("token", _HIDDEN, _EXPECTED)
    return given


def tokenIn(path: str, option: str = "path") -> bytes:
    """
    Read a token from a file.  A line end after it does not belong to it.

    @param option: who named the file, for the error message.
    @raise InvalidOption: there is no such file, others than its owner may read or write it, or
        there is no token in it.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | getattr(os, "O_CLOEXEC", 0))
    except OSError as problem:
        expected = f"a file that can be read ({problem.strerror})"
        raise InvalidOption(option, path, expected) from None
    try:
        # What was opened, not what the path may lead to in a moment.
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise InvalidOption(option, path, "a file")
        if status.st_mode & 0o077:
            raise InvalidOption(option, path, "a file for its owner alone (chmod 600)")
        content = os.read(descriptor, LONGEST + 3)
    finally:
        os.close(descriptor)
    for end in (b"\r\n", b"\n"):
        if content.endswith(end):
            content = content[: -len(end)]
            break
    try:
        token = tokenOf(content)
    except InvalidOption:
        raise InvalidOption(option, path, f"a file with {_EXPECTED}") from None
    assert token is not None
    return token
