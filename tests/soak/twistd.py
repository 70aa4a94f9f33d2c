"""
C{twistd} with a debug door for each of its processes, in the directory C{SOAK_DOORS}:
C{python -m tests.soak.twistd --nodaemon ...}.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

from twisted.scripts.twistd import run

from tests.soak.door import openDoor


def main() -> None:
    """
    Run it.
    """
    # A shell starts what it puts into the background with SIGINT ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    from twisted.internet import reactor as reactor_

    reactor: Any = reactor_
    path = Path(os.environ["SOAK_DOORS"]) / f"{os.getpid()}.sock"
    reactor.callWhenRunning(openDoor, reactor, str(path), {})
    run()


if __name__ == "__main__":
    main()
