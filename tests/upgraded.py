"""
A process that is upgraded by the hands of a test.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, succeed

from terminable.handover import command, environment
from terminable.handover.channel import VERSION, Ready
from terminable.handover.command import Command
from terminable.handover.upgrading import upgradeOf
from terminable.policy.phases import Phase
from tests.handingover import Answers, HandoverTestCase


class FakeListener:
    """
    A listening port that could be handed over.
    """

    def __init__(self, port: Any, name: str, place: int) -> None:
        self.port = self
        self.socket = port
        self.name = name
        self.place = place
        self.told: list[str] = []

    def pause(self) -> None:
        self.told.append("pause")

    def unpause(self) -> None:
        self.told.append("unpause")


class FakeTerminator:
    """
    What has ports, and stands somewhere.
    """

    def __init__(self, *listeners: FakeListener) -> None:
        self.phase = Phase.SERVING
        self.ports = self
        self.listeners = list(listeners)
        self.told: list[str] = []

    def handOver(self) -> None:
        self.told.append("handOver")

    def abort(self) -> None:
        self.told.append("abort")

    def connections(self) -> list[str]:
        return ["one", "two"]


class FakeObserver:
    """
    Who wants to know of upgrades.

    @ivar hearing: what fires when whoever supervises has been told.
    """

    def __init__(self) -> None:
        self.told: list[Any] = []
        self.hearing: Deferred[None] = succeed(None)

    def beginReload(self) -> None:
        self.told.append("begin")

    def endReload(self) -> None:
        self.told.append("end")

    def mainPid(self, pid: int) -> Deferred[None]:
        self.told.append(pid)
        return self.hearing


class UpgradeTestCase(HandoverTestCase):
    """
    Upgrades a process with three ports, of which one was given to it.
    """

    def setUp(self) -> None:
        super().setUp()
        self.patch(environment, "STARTED", {})
        self.patch(os, "environ", {"HOME": "/"})
        self.own = Command(["sh", "own"], "/here", "/run/pid", "")
        self.patch(command, "own", lambda: self.own)
        self.last: list[Callable[[], object]] = []
        self.patch(atexit, "register", self.last.append)
        self.listeners = [
            FakeListener(self.listener(), "c", 9),
            FakeListener(self.listener(), "a", 0),
            FakeListener(self.listener(), "b", 9),
        ]
        self.terminators = [
            FakeTerminator(*self.listeners[:1]),
            FakeTerminator(*self.listeners[1:]),
        ]
        self.upgrade = upgradeOf(self.reactor)
        # Kept in an order.
        self.upgrade._terminators = self.terminators  # type: ignore[assignment]
        self.observer = FakeObserver()
        self.upgrade.observers.append(self.observer)

    def begin(self, *words: str) -> Answers:
        """
        Begin an upgrade.

        @return: the process that was started.
        """
        self.result = self.upgrade.upgrade(words or None)
        self.spoken, answers = self.speak(self.reactor.processes[-1].channel)
        return answers

    def ready(self) -> None:
        """
        It is ready.
        """
        self.spoken.callRemote(Ready, version=VERSION, pid=99, listening=["a"])

    def told(self) -> list[list[str]]:
        """
        What the listeners were.
        """
        return [each.told for each in self.listeners]
