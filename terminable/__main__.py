"""
C{python -m terminable}: the same as C{twistd --nodaemon --pidfile= terminable}.
"""

from __future__ import annotations

import sys


def main(arguments: list[str]) -> None:
    """
    Serve in the foreground until a signal comes.

    @param arguments: what follows the command's name.
    """
    from twisted.scripts.twistd import run

    sys.argv[1:] = ["--nodaemon", "--pidfile=", "terminable", *arguments]
    run()


if __name__ == "__main__":
    main(sys.argv[1:])
