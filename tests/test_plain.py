"""
A drainer that knows two methods, made complete.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from terminable.drainers.plain import PlainDrainer, fullDrainer
from terminable.interfaces import IDrainer, IHintingDrainer


@implementer(IDrainer)
class Simple:
    """
    Counts its goodbyes.
    """

    busy: object = False

    def __init__(self) -> None:
        self.drained = 0

    def isBusy(self) -> object:
        return self.busy

    def drain(self) -> None:
        self.drained += 1


@implementer(IHintingDrainer)
class Complete(Simple):
    """
    Knows everything.
    """


class PlainDrainerTests(SynchronousTestCase):
    """
    L{PlainDrainer} and L{fullDrainer}.
    """

    def setUp(self) -> None:
        self.inner = Simple()
        self.full = fullDrainer(self.inner)

    def test_isComplete(self) -> None:
        """
        It provides everything that L{IHintingDrainer} asks for.
        """
        self.assertIsInstance(self.full, PlainDrainer)
        self.assertTrue(verifyObject(IHintingDrainer, self.full))

    def test_completeOnesAreLeftAlone(self) -> None:
        """
        A drainer that knows everything is used as it is.
        """
        complete = Complete()
        self.assertIs(fullDrainer(complete), complete)

    def test_isBusy(self) -> None:
        """
        It is busy when the drainer says so, in whatever way.
        """
        self.assertIs(self.full.isBusy(), False)
        self.inner.busy = ["something"]
        self.assertIs(self.full.isBusy(), True)

    def test_drainsOnce(self) -> None:
        """
        However often it is told, the drainer is told once.
        """
        self.full.drain()
        self.full.drain()
        self.assertEqual(self.inner.drained, 1)

    def test_knowsNothingElse(self) -> None:
        """
        A hint does nothing, there is nothing to describe and no last word; but an idle
        connection is not silent: its drainer is to say goodbye.
        """
        idled: list[None] = []
        self.full.hint(lambda: idled.append(None))
        self.assertEqual((self.full.describe(), self.full.lastWord(5)), ("", ""))
        self.assertFalse(self.full.silent)
        self.assertEqual((self.inner.drained, idled), (0, []))
