"""
Servers in processes of their own, that are always gone in the end.
"""

from __future__ import annotations

import contextlib
import os
import random
import select
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.machine import HOST, Listen, Workspace

PROBE = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"


@dataclass
class Stop:
    """
    How a server ended.

    @ivar began: when the signal went out, in monotonic seconds.
    @ivar gone: when the process was gone.
    @ivar status: its exit status.
    @ivar ended: whether it did not leave, and we had to end it.
    """

    began: float
    gone: float
    status: int
    ended: bool = False

    @property
    def seconds(self) -> float:
        """
        How long it took.
        """
        return self.gone - self.began


class Started:
    """
    A server in a process of its own, used as a context that waits until it answers and leaves
    nothing behind, not even children of that process.

    @ivar workspace: where its log goes, and where its certificate is.
    @ivar listens: where it listens.
    @ivar pid: the process that we started.
    @ivar environment: what stands in its environment besides ours.
    """

    workspace: Workspace
    listens: Sequence[Listen]
    environment: dict[str, str]

    began = 0.0
    stopSignal: int = signal.SIGTERM

    def command(self) -> list[str]:
        """
        The command line that starts it.
        """
        raise NotImplementedError

    def surroundings(self) -> dict[str, str]:
        """
        The whole environment.
        """
        return {**os.environ, **self.environment}

    def __enter__(self) -> Started:
        self.logPath = self.workspace.path / f"{random.getrandbits(48):x}.log"
        with open(self.logPath, "wb") as log:
            # A session of its own, so that all who come of it can be ended.
            self._process = subprocess.Popen(
                self.command(),
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                cwd=self.workspace.path,
                env=self.surroundings(),
                start_new_session=True,
            )
        self.pid = self._process.pid
        self._exit = os.pidfd_open(self.pid)
        try:
            self._waitUntilServing()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        self._end()
        os.close(self._exit)

    def _end(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def _waitUntilServing(self, seconds: float = 15.0) -> None:
        deadline = time.monotonic() + seconds
        for listen in self.listens:
            while not self._serves(listen):
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"the server did not start:\n{self.log()}")
                time.sleep(0.02)

    def _serves(self, listen: Listen) -> bool:
        """
        Whether the server answers.  That it accepts is not enough: it may only be
        trying whether it could listen.
        """
        try:
            with socket.create_connection((HOST, listen.port), 5.0) as plain:
                if not listen.tls:
                    plain.sendall(PROBE)
                    return bool(plain.recv(1))
                context = self.workspace.tlsContext()
                with context.wrap_socket(plain, server_hostname=HOST) as secured:
                    secured.sendall(PROBE)
                    return bool(secured.recv(1))
        except OSError:
            return False

    def log(self) -> str:
        """
        What the server has logged until now.
        """
        return self.logPath.read_text(errors="replace")

    def waitForLog(self, text: str, seconds: float = 5.0) -> None:
        """
        Return when the text stands in the log.
        """
        deadline = time.monotonic() + seconds
        while text not in self.log():
            if time.monotonic() > deadline:
                raise RuntimeError(f"{text!r} never came:\n{self.log()}")
            time.sleep(0.005)

    def signalled(self, number: int) -> float:
        """
        Send a signal; return the moment.
        """
        moment = time.monotonic()
        self._process.send_signal(number)
        return moment

    def terminate(self) -> float:
        """
        Have it stop politely; return the moment.
        """
        self.began = time.monotonic()
        self._process.send_signal(self.stopSignal)
        return self.began

    def _isGone(self, seconds: float) -> bool:
        poll = select.poll()
        poll.register(self._exit, select.POLLIN)
        return bool(poll.poll(seconds * 1000))

    def wait(self, seconds: float = 30.0) -> Stop:
        """
        Wait until the process is gone.

        @raise RuntimeError: it is not, after so many seconds.
        """
        if not self._isGone(seconds):
            raise RuntimeError(f"still there after {seconds} s:\n{self.log()[-4000:]}")
        gone = time.monotonic()
        return Stop(self.began, gone, self._process.wait())

    def waitOrEnd(self, seconds: float) -> Stop:
        """
        Wait until the process is gone, and end it if it is not, after so many seconds.
        """
        left = self._isGone(seconds)
        gone = time.monotonic()
        self._end()
        return Stop(self.began, gone, self._process.wait(), not left)
