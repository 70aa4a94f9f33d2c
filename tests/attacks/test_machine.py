"""
A server under random use and misuse keeps its guarantees; a short part of the attack.
"""

from __future__ import annotations

from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test
from twisted.internet.task import TaskStopped
from twisted.trial.unittest import SynchronousTestCase

from tests.attacks.machine import ServerMachine
from tests.attacks.passing import PassingMachine
from tests.doubles import Boom

BRIEF = settings(
    deadline=None,
    max_examples=60,
    stateful_step_count=25,
    derandomize=True,
    database=None,
    print_blob=False,
    suppress_health_check=list(HealthCheck),
)


class MachineTests(SynchronousTestCase):
    """
    Whatever is done to it.
    """

    def test_holds(self) -> None:
        """
        The phases are legal, everything is counted once, nobody is told twice, and every stop
        is over in time.
        """
        run_state_machine_as_test(ServerMachine, settings=BRIEF)
        # The scene has looked at those that Twisted raises.
        self.flushLoggedErrors(Boom, OSError, TaskStopped)


class PassingTests(SynchronousTestCase):
    """
    Whatever happens while connections are passed, nobody notices.
    """

    def test_randomly(self) -> None:
        """
        Each request is answered once, by one of two processes, although applications fail, the
        channel between them breaks, and one of them is killed; no descriptor is left.
        """
        run_state_machine_as_test(PassingMachine, settings=BRIEF)
        self.flushLoggedErrors(Boom, OSError)
