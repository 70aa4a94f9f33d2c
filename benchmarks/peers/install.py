"""
Fetch and build the peers, into C{benchmarks/peers/fetched}, and nowhere else.

    python benchmarks/peers/install.py

What comes from PyPI gets an environment of its own, with the versions of C{requirements.txt};
what comes from npm, those of C{package.json}.  The program for Go is built from what lies here.
nginx is a package of Debian.  What cannot be had is said, and left out of the measurements.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks.peers.base import APPS, FETCHED, PEERS
from benchmarks.peers.registry import ALL, installed

#: Seconds that one step may take.
PATIENCE = 600


def _run(*words: str | Path, within: Path = FETCHED) -> None:
    subprocess.run(list(map(str, words)), cwd=within, check=True, timeout=PATIENCE)


def fromPyPI() -> None:
    """
    The servers in Python.
    """
    python = FETCHED / "venv" / "bin" / "python"
    if not python.exists():
        _run(sys.executable, "-m", "venv", FETCHED / "venv")
    _run(python, "-m", "pip", "install", "-q", "-r", PEERS / "requirements.txt")


def fromNpm() -> None:
    """
    The libraries for Node.
    """
    if shutil.which("npm") is None:
        raise FileNotFoundError("npm is not installed")
    shutil.copy(PEERS / "package.json", FETCHED)
    # No lock file: it would name the registry.
    _run("npm", "install", "--no-package-lock", "--no-audit", "--no-fund", "--silent")


def withGo() -> None:
    """
    The program in Go; it needs nothing but the standard library.
    """
    if shutil.which("go") is None:
        raise FileNotFoundError("go is not installed")
    _run("go", "build", "-o", FETCHED / "gohttp", "main.go", within=APPS / "gohttp")


STEPS: dict[str, Callable[[], None]] = {"PyPI": fromPyPI, "npm": fromNpm, "Go": withGo}


def install() -> list[str]:
    """
    All of them.

    @return: what could not be had, and why.
    """
    FETCHED.mkdir(exist_ok=True)
    problems = []
    for name, step in STEPS.items():
        try:
            step()
        except (OSError, subprocess.SubprocessError) as reason:
            problems.append(f"{name}: {reason}")
    return problems


def main() -> int:
    """
    The command line.
    """
    problems = install()
    _, versions, missing = installed(ALL)
    for name, version in versions.items():
        print(f"{name} {version}")
    for name in missing:
        print(f"not installed: {name}")
    for problem in problems:
        print(problem, file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
