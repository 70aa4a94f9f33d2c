"""
What attacks have brought to light, each once more.
"""

from __future__ import annotations

import socket
from collections import Counter
from itertools import pairwise
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from terminable.errors import NotServing
from terminable.policy.admission import Admission
from terminable.policy.phases import Phase
from terminable.terminator import Terminator
from terminable.tracking.layers import unsentHere
from tests.attacks.applications import Script
from tests.attacks.scene import Scene
from tests.doubles import Boom, Hinting, World


class FindingTests(SynchronousTestCase):
    """
    Odd things at odd moments.
    """

    def scene(self, *kinds: str, **settings: Any) -> Scene:
        """
        A server with these ports.
        """
        scene = Scene(Counter(), **{"idleGrace": 0.0, "gracePeriod": 0.5, **settings})
        for kind in kinds:
            scene.listen(kind)
        return scene

    def test_releasedWhileItIsSuspended(self) -> None:
        """
        An application releases the ports when its connection is made, and that is while the
        queue is emptied because they go away for a while: whoever watches hears of everything
        in the order in which it happened.
        """
        scene = self.scene("unix")
        told: list[tuple[Phase, Phase]] = []
        scene.observer.phaseChanged = (  # type: ignore[method-assign]
            lambda old, new: told.append((old, new))
        )
        scene.connect(0, Script("raw", {"connectionMade": "release"}))
        scene.suspend()
        self.assertEqual(scene.end(), [])
        self.assertGreater(len(told), 3)
        for (_, new), (old, _) in pairwise(told):
            self.assertIs(old, new)

    def test_listensWhileItIsEnded(self) -> None:
        """
        An observer ends everything when it is told that somebody listens again, while an older
        generation drains: the new port does not stay open, and whoever opened it is told.
        """
        for deed, quiet in (("abort", 0.0), ("terminate", 0.0)):
            scene = self.scene("unix", idleGrace=quiet)
            scene.connect(0, Script("drainer", {}, "yes"))
            scene.reactor.turn()
            scene.release(False, 2.0)
            scene.reactor.turn()
            scene.observer.deeds["phaseChanged"] = deed
            self.assertRaises(NotServing, scene.listen, "unix")
            scene.observer.deeds.clear()
            self.assertFalse(any(port.connected for port in scene.ports))
            self.assertEqual(scene.end(), [])

    def test_endedByWhoIsOver(self) -> None:
        """
        An application ends everything when it loses a connection: that one is not looked at
        any more.
        """
        scene = self.scene("unix", linger=0.0)
        scene.connect(0, Script("raw", {"connectionLost": "terminate"}, "list"))
        scene.reactor.turn()
        scene.reactor.turn()
        scene.guests[0].halfEnd()
        scene.reactor.turn()
        scene.connect(0, Script("raw", {}, "list"))
        self.assertEqual(scene.end(), [])

    def test_servesAgainAtOnce(self) -> None:
        """
        The deadline is brought forward to now, and whoever hears that all is over listens
        again: it serves, and can be ended again.
        """
        scene = self.scene("tcp", idleGrace=0.1)
        scene.terminate(0.5)
        scene.observer.deeds["terminated"] = "listen"
        scene.terminate(0)
        scene.observer.deeds.clear()
        self.assertIs(scene.terminator.phase, Phase.SERVING)
        self.assertEqual(scene.end(), [])

    def test_nobodyReads(self) -> None:
        """
        Somebody who does not take what was written is aborted at the end, and named, though
        the application says that nothing is in flight.
        """
        scene = self.scene("unix")
        scene.connect(0, Script("drainer"))
        scene.reactor.turn()
        scene.abort()
        scene.act(scene.factories[0].built[0], "writeMuch")
        scene.reactor.go(0.2)
        [report] = scene.observer.reports
        self.assertEqual((report.aborted, len(report.stragglers)), (1, 1))
        self.assertEqual(scene.end(), [])

    def test_lostBeforeItIsRead(self) -> None:
        """
        Somebody is accepted during the quiesce time, and his protocol loses him as soon as it
        is asked: what he has sent is not given to it any more.
        """
        for deed in ("lose", "abortConnection"):
            scene = self.scene("unix", quiesce=0.2, linger=0.0)
            scene.terminate(0.5)
            scene.connect(0, Script("drainer", {"isBusy": deed}))
            scene.guests[0].send(b"hello")
            scene.reactor.go(0.1)
            self.assertEqual(scene.end(), [])

    def test_endedByItsLastWord(self) -> None:
        """
        A last word is cut short by C{abort}, and that is the end of its connection: nothing
        more is done to it.
        """

        class Talkative(Hinting):
            busy = True
            word = "bye"

        world = World(Talkative, gracePeriod=0.1, idleGrace=0.0)
        transport = world.connect()
        transport.loseConnection = transport.end  # type: ignore[method-assign]
        result = world.terminator.terminate()
        world.pass_(0.15)
        self.assertNoResult(result)
        world.terminator.abort()
        world.pass_(0.05)
        self.assertEqual(self.successResultOf(result).aborted, 1)

    def test_endsWithItsLastWord(self) -> None:
        """
        So it is if the connection has ended when its drainer returns.
        """

        class Hasty(Hinting):
            def lastWord(self, retryAfter: int) -> str:
                self.transport.end()
                return "bye"

        world = World(Hasty, gracePeriod=0.0)
        world.connect()
        result = world.terminator.terminate()
        world.pass_(0.05)
        self.assertEqual(self.successResultOf(result).idle, 1)

    def test_withoutAnAddress(self) -> None:
        """
        A port that cannot tell where it listens is closed all the same.
        """
        scene = self.scene("unix")
        [port] = scene.ports

        def getHost() -> Any:
            raise OSError

        port.getHost = getHost
        terminator = Terminator(scene.reactor)
        scene.end()
        port.startListening()
        terminator.attach(port)
        terminator.abort()
        self.assertFalse(port.connected)

    def test_answersWhenItIsTooLate(self) -> None:
        """
        The deadline is now, and somebody on whose connection nothing is in flight writes more
        than his peer takes when he hears of it: that connection ends all the same, and is named.
        """
        scene = self.scene("unix")
        scene.connect(0, Script("hinting", {"hint": "writeMuch"}))
        scene.reactor.turn()
        scene.terminate(0)
        scene.reactor.go(0.3)
        [report] = scene.observer.reports
        self.assertEqual((report.aborted, len(report.stragglers)), (1, 1))
        self.assertEqual(scene.end(), [])

    def test_doesNotLetGo(self) -> None:
        """
        Somebody who has not even shaken hands, and for whom more is to be sent than he may be
        sent, is not waited for at the end.
        """
        scene = self.scene("tls", limits=("sent=1000/s:per=all",))
        for script in [Script("raw", {"connectionMade": "write"})] * 3:
            scene.connect(0, script)
            scene.guests[-1].send(b"")
        scene.reactor.go(0.1)
        scene.abort()
        scene.reactor.go(0.3)
        [report] = scene.observer.reports
        self.assertEqual((report.opened, report.aborted, len(report.entries)), (3, 3, 3))
        self.assertEqual(scene.end(), [])

    def test_stillTakesItsAnswer(self) -> None:
        """
        The deadline is now, and the kernel still has an answer that somebody is taking, who says
        something about it from time to time: he gets all of it, and is not reset.
        """
        speaks = Script("hinting", {"lastWord": "lose"}, "list")
        for way, script in (("abort", Script()), ("terminate", Script()), ("terminate", speaks)):
            scene = self.scene("unix", linger=2.0, lingerBytes=2**20)
            scene.connect(0, script)
            scene.reactor.turn()
            transport = scene.factories[0].built[0].transport
            transport.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2**20)
            transport.write(b"x" * 300_000)
            for _ in range(9):
                scene.reactor.turn()
            self.assertEqual(unsentHere(transport), 0)
            getattr(scene, way)(*[0] * (way == "terminate"))
            scene.reactor.turn()
            taken, guest = 0, scene.guests[0].socket
            while taken < 300_000:
                taken += len(guest.recv(8192))
                if taken < 250_000:
                    guest.send(b"more")
                scene.reactor.turn(0.02)
            scene.guests[0].leave()
            scene.reactor.go(0.2)
            self.assertEqual(scene.end(), [])
            report = scene.observer.reports[0]
            self.assertEqual((report.idle, report.aborted), (1, 0))

    def test_listensWhileItIsNamed(self) -> None:
        """
        An application opens a port when it is asked to describe a connection that does not
        end when it is aborted, and that is the last moment of the stop: the port does not stay.
        """
        scene = self.scene("unix")
        scene.connectInMemory(Script("hinting", {"describe": "listen"}), None)
        scene.abort()
        scene.reactor.go(1.5)
        self.assertIs(scene.terminator.phase, Phase.TERMINATED)
        self.assertFalse(any(port.connected for port in scene.ports))
        self.assertEqual(scene.end(), [])

    def test_cannotBeAskedToMakeRoom(self) -> None:
        """
        The room is full, and one of those inside breaks when it is asked whether it is idle:
        whoever arrives waits as others do.
        """
        scene = self.scene("unix", admission=Admission(capacity=1, queue=1))
        scene.connect(0, Script("nonsense", {}, "yes"))
        scene.reactor.turn()
        for _ in range(2):
            scene.connectInMemory(Script(), 0.0)
        self.assertEqual(scene.terminator.room.waiting, 2)
        scene.reactor.go(1.5)
        self.assertEqual(scene.end(), [])
        self.assertGreater(len(self.flushLoggedErrors(Boom)), 1)

    def test_endedWhileItIsAccepted(self) -> None:
        """
        An application ends everything when it is connected, and that is while a port accepts
        one after the other: nothing is logged of the port that is not there any more.
        """
        for admission in (None, Admission(capacity=5)):
            scene = self.scene("tcp", admission=admission)
            scene.ports[0].numberAccepts = 10
            for _ in range(3):
                scene.connect(0, Script("raw", {"connectionMade": "abort"}))
            scene.reactor.turn()
            self.assertFalse(scene.ports[0].connected)
            self.assertEqual(scene.end(), [])
            self.assertEqual(self.flushLoggedErrors(), [])

    def test_namedWhileItIsAborted(self) -> None:
        """
        Somebody who has not shaken hands is drained at once and aborted, because his connection
        cannot be ended otherwise, before it is looked at for the last time: he stays named.
        """
        scene = self.scene("tls", linger=0.0)
        scene.connect(0, Script())
        scene.reactor.turn()
        scene.connect(0, Script("nonsense"))
        scene.reactor.turn()
        scene.drain(gracePeriod=0, idleGrace=0.0)
        self.assertEqual(scene.end(), [])
        self.flushLoggedErrors(Boom)
