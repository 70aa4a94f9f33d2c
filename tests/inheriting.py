"""
What those whom we start must not inherit.
"""

from __future__ import annotations

import signal


def catchIgnored(*numbers: int) -> None:
    """
    Ignore signals by a function of ours, if they are ignored: C{nohup} has SIGHUP ignored, and
    a shell what it puts into the background SIGINT.  Whoever is started then has the default.
    """
    for number in numbers:
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, lambda *_: None)
