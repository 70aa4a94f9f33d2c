"""
A PostgreSQL server of a test's own: on a UNIX socket, in a directory that goes with the test.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

from tests.live.processes import PATIENCE, LiveTestCase, eventually
from tests.live.programs import program

#: PostgreSQL refuses to run as root.
NOBODY = 65534


def _program(name: str) -> str:
    """
    A program of PostgreSQL's server; Debian keeps these out of the way.
    """
    for path in sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), reverse=True):
        return str(path)
    return program(name, "postgresql")


class Database:
    """
    One server.

    @ivar address: of its database.
    """

    def __init__(self, directory: Path) -> None:
        """
        @param directory: for its files.
        """
        self._directory = directory
        self._identity: dict[str, Any] = {}
        if os.geteuid() == 0:
            os.chown(directory, NOBODY, NOBODY)
            self._identity = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
        self._data = directory / "data"
        self._process: Any = None
        self.address = f"postgresql://spool@/postgres?host={directory}"

    def _options(self) -> dict[str, Any]:
        log = (self._directory / "log").open("ab")
        return {"cwd": self._directory, "stdout": log, "stderr": log, **self._identity}

    def make(self) -> None:
        """
        Make its files.
        """
        words = ["--auth=trust", "--username=spool", "--no-sync", "--encoding=UTF8"]
        command = [_program("initdb"), *words, "--no-locale", "--pgdata", str(self._data)]
        subprocess.run(command, check=True, timeout=60, **self._options())

    def start(self) -> None:
        """
        Return when it answers.
        """
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(self._directory),
            # This server need not outlive its machine.
            "fsync": "off",
            # Who needs it says so.
            "synchronous_commit": "off",
            "full_page_writes": "off",
        }
        words = [word for item in settings.items() for word in ("-c", "=".join(item))]
        command = [_program("postgres"), "-D", str(self._data), *words]
        self._process = subprocess.Popen(command, **self._options())
        if not eventually(self._answers):
            raise AssertionError(self.log())

    def _answers(self) -> bool:
        import psycopg

        try:
            psycopg.connect(self.address).close()
        except psycopg.OperationalError:
            return False
        return True

    def log(self) -> str:
        """
        What it has written.
        """
        return (self._directory / "log").read_text(errors="replace")

    def ask(self, query: str) -> list[Any]:
        """
        @return: the rows that a query finds.
        """
        import psycopg

        with psycopg.connect(self.address) as connection:
            return list(connection.execute(query).fetchall())

    def stop(self) -> None:
        """
        End it, and every connection to it, at once.
        """
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(signal.SIGQUIT)
            process.wait(PATIENCE)


def database(test: LiveTestCase) -> Database:
    """
    @return: a server that runs until the test is over.
    """
    directory = test.directory()
    found = Database(directory)
    test.addCleanup(shutil.rmtree, directory, ignore_errors=True)
    test.addCleanup(found.stop)
    found.make()
    found.start()
    return found
