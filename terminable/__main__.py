"""
C{python -m terminable}: the same as C{twistd --nodaemon --pidfile= terminable}; and
C{python -m terminable ctl}, which asks a server how it is, or tells it what to do.
"""

from __future__ import annotations

import sys


def main(arguments: list[str]) -> None:
    """
    Serve in the foreground until a signal comes, or carry out a command.

    @param arguments: what follows the command's name; C{ctl} comes first for a command.
    """
    if arguments[:1] == ["ctl"]:
        from terminable.ctl.program import main as control

        control(arguments[1:])
        return
    from twisted.scripts.twistd import run

    sys.argv[1:] = ["--nodaemon", "--pidfile=", "terminable", *arguments]
    run()


if __name__ == "__main__":
    main(sys.argv[1:])
