"""
A server of C{twistd terminable}, with all processes that come of it.
"""

from __future__ import annotations

import http.client
import json
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tests.live.processes import environment
from tests.soak.door import ask
from tests.soak.journal import GRACE, IDLE_GRACE, SLACK, Findings
from tests.soak.load import Target
from tests.soak.processes import Process
from tests.soak.wire import HOST

#: For how many seconds to wait for what takes a moment on a machine that has nothing else to do.
PATIENCE = 120.0


class Admin(http.client.HTTPConnection):
    """
    A connection to an admin door.
    """

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=PATIENCE)
        self._path = str(path)

    def connect(self) -> None:
        """
        See L{http.client.HTTPConnection.connect}.
        """
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Tree:
    """
    The server.

    @ivar first: the process that takes signals.
    @ivar failing: whether stragglers make the exit status.
    """

    def __init__(
        self, findings: Findings, target: Target, directory: Path, content: str, *words: str
    ) -> None:
        """
        @param directory: where it runs; there is a certificate, C{localhost.pem}.
        @param content: what is served.
        @param words: more of the command line.
        """
        self.findings, self.target = findings, target
        self.name = target.name
        self.directory = directory
        self._content, self._words = content, words
        self._starts = 0
        self._offset = 0
        self.failing = False
        self.first: Process

    # -- its places

    def _place(self, kind: str) -> Path:
        return self.directory / f"{self.name}-{self._starts}.{kind}"

    def _doors(self) -> list[str]:
        where = f"interface={HOST}:backlog=512"
        pem = self.directory / "localhost.pem"
        target = self.target
        doors = [f"tcp:{number}:{where}" for number in (target.plain, target.lines) if number]
        if target.secure:
            doors.append(f"ssl:{target.secure}:{where}:privateKey={pem}:certKey={pem}")
        return [word for door in doors for word in ("--port", door)]

    def _command(self, *more: str) -> list[str]:
        """
        C{twistd}, by the program that opens our debug door.
        """
        times = ("--grace", f"{GRACE:g}", "--idle-grace", f"{IDLE_GRACE:g}")
        return [
            *(sys.executable, "-m", "tests.soak.twistd", "--nodaemon", "--pidfile=", "terminable"),
            *(*self._doors(), "--factory", self._content, *times),
            *("--admin", f"unix:{self._place('admin')}", "--report", str(self._place("json"))),
            *self._words,
            *more,
        ]

    # -- starting and being followed

    def start(self, *more: str, failing: bool = False) -> None:
        """
        Start it, and wait until it is ready.
        """
        self._starts += 1
        self._offset = 0
        self.failing = failing
        command = self._command(*more, *["--fail-on-straggler"] * failing)
        extra = {
            "SOAK_HEARD": str(self.directory / f"{self.name}.heard"),
            "SOAK_DOORS": str(self.directory),
            # What is freed goes back at once, so that memory can be compared.
            "MALLOC_TRIM_THRESHOLD_": "131072",
        }
        with open(self._place("log"), "wb") as log:
            started = subprocess.Popen(
                command,
                cwd=self.directory,
                env=environment(extra),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.first = Process(started.pid)
        # We reap it ourselves.
        started.returncode = 0
        self.awaitReady(PATIENCE)

    def awaitReady(self, seconds: float = PATIENCE) -> None:
        """
        Wait until the process that takes signals serves.
        """

        def ready() -> bool:
            status, _ = self.admin("GET", "/ready")
            return status == 200 and self.status()["pid"] == self.first.pid

        self.eventually(ready, "it is ready", seconds)

    def eventually(self, condition: Any, what: str, seconds: float = PATIENCE) -> None:
        """
        Wait until something is so.

        @raise RuntimeError: it is not.
        """
        deadline = time.monotonic() + seconds
        while True:
            try:
                if condition():
                    return
            except (OSError, http.client.HTTPException, ValueError):
                # Nobody is at the door just now.
                pass
            if self.first.hasEnded():
                raise RuntimeError(f"{self.first.pid} has ended by itself\n{self.tail()}")
            if time.monotonic() > deadline:
                raise RuntimeError(f"not within {seconds:g} s: {what}\n{self.tail()}")
            time.sleep(0.1)

    def awaitLine(self, pattern: str, failed: str = "^$", seconds: float = PATIENCE) -> str:
        """
        Wait for a line in the log, behind the one that was found last.

        @return: the first group of the pattern, or all.
        @raise RuntimeError: it does not come.
        """
        found = ""

        def look() -> bool:
            nonlocal found
            with open(self._place("log"), "rb") as log:
                log.seek(self._offset)
                for line in log:
                    if not line.endswith(b"\n"):
                        return False
                    self._offset += len(line)
                    text = line.decode(errors="replace")
                    if re.search(failed, text) and text.strip():
                        raise RuntimeError(text)
                    if match := re.search(pattern, text):
                        found = match[match.lastindex or 0]
                        return True
            return False

        self.eventually(look, pattern, seconds)
        return found

    def tail(self) -> str:
        """
        What it has logged last.
        """
        lines = self._place("log").read_text(errors="replace").splitlines()
        return "\n".join(line for line in lines[-400:] if "draining: " not in line)[-3000:]

    def admin(self, method: str, path: str, **words: Any) -> tuple[int, Any]:
        """
        Ask at the admin door.

        @return: the status, and what was answered.
        @raise OSError: nobody is there.
        """
        asked = Admin(self._place("admin"))
        try:
            body = json.dumps(words).encode() if method == "POST" else None
            asked.request(method, path, body, {"Content-Type": "application/json"} if body else {})
            answer = asked.getresponse()
            text = answer.read()
        finally:
            asked.close()
        return answer.status, json.loads(text) if text.startswith(b"{") else text.decode()

    def order(self, path: str, **words: Any) -> Any:
        """
        Have something done by the admin door.

        @raise RuntimeError: it was refused.
        """
        status, body = self.admin("POST", path, **words)
        if status not in (200, 202):
            raise RuntimeError(f"{path}: {status} {body}")
        return body

    def status(self) -> Any:
        """
        How it stands, says the admin door.
        """
        return self.admin("GET", "/status")[1]

    def counts(self) -> dict[str, Any]:
        """
        What the process that takes signals holds, says its debug door.
        """
        counted: dict[str, Any] = ask(self.directory / f"{self.first.pid}.sock", "counts")
        return counted

    # -- ending

    def ended(self, process: Process, number: int, forced: bool = False) -> dict[str, Any]:
        """
        Wait for the end of a process that was told to go, and check how it has ended.

        @param number: the signal that has ended it; 0 if none has.
        @param forced: whether it was told not to wait for anybody.
        @return: its report.
        """
        status = process.awaitEnd(GRACE + PATIENCE)
        took = time.monotonic() - process.told
        report: dict[str, Any] = json.loads(self._place("json").read_text())
        if report["pid"] != process.pid:
            self.findings.finding(self.name, f"{process.pid} has left no report")
            return report
        self.findings.checkReport(self.name, report, forced)
        if took > GRACE + 1.1 + SLACK:
            self.findings.finding(self.name, f"{process.pid} has ended after {took:.1f} s")
        wanted = (0 if report["graceful"] else 1) if self.failing else -number
        if status not in (wanted, None):
            text = f"{process.pid} has ended with {status} instead of {wanted}"
            self.findings.finding(self.name, text, report=report)
        return report

    def terminate(self, number: int = signal.SIGTERM) -> dict[str, Any]:
        """
        Ask it to stop, and wait for the end.

        @return: its report.
        """
        self.first.send(number)
        return self.ended(self.first, number)
