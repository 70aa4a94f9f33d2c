"""
Boxes of AMP.
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import Any

from twisted.internet.error import ConnectionLost
from twisted.protocols.amp import ANSWER, ASK, COMMAND, ERROR, AmpBox, ProtocolSwitched

from terminable.drainers.amp import errorBox
from terminable.throttling.charges import Refusal
from terminable.throttling.meters.lines import PausableMeter

#: The code of the error that the peer's call fails with.
CODE = b"QUOTA_EXCEEDED"


class AMPMeter(PausableMeter):
    """
    Counts what the peer asks; its answers to our own questions pass.  What another protocol
    receives, to which this one has switched, is not counted.
    """

    def begin(self) -> None:
        """
        Stand before the receiver of boxes.
        """
        # Where a constructor was not called, Twisted does so when the connection is made.
        receiver = getattr(self.protocol, "boxReceiver", self.protocol)
        self.hook(receiver, "ampBoxReceived", partial(self._box, receiver.ampBoxReceived))

    def _box(self, handle: Any, box: AmpBox) -> None:
        if COMMAND in box and ANSWER not in box and ERROR not in box:
            self.message(handle, box)
        else:
            handle(box)

    def go(self) -> None:
        """
        Take the rest apart, unless that is for another protocol, which has it already.
        """
        if self.protocol.innerProtocol is None:
            super().go()

    def refuse(self, refusal: Refusal, *message: Any) -> None:
        """
        Answer with an error, if an answer is wanted.
        """
        [box] = message
        if ASK not in box:
            return
        wait = f"try again in {refusal.wholeSeconds} s"
        # As AMP has it: perhaps nobody is there for an answer.
        with suppress(ConnectionLost, ProtocolSwitched):
            self.protocol.sendBox(errorBox(box[ASK], CODE, wait))

    def warn(self, refusal: Refusal) -> None:
        """
        Nothing can be said that was not asked.
        """
