"""
A client that sends the next question when the last was answered, and shows its progress
no more than once a second.

    python pacing.py tcp:127.0.0.1:8000 3 4 5
"""

from __future__ import annotations

import sys

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.endpoints import clientFromString, connectProtocol
from twisted.internet.protocol import connectionDone
from twisted.internet.task import react
from twisted.protocols.basic import LineReceiver
from twisted.python.failure import Failure

from terminable.pacing import OneByOne, throttle


class Asker(LineReceiver):
    """
    Speaks with squares.py, which answers each line by a line.
    """

    delimiter = b"\n"

    def __init__(self, reactor) -> None:
        self.gate = OneByOne(self.sendLine, waiting=1000, timeLimit=10.0, reactor=reactor)

    def square(self, number: int) -> Deferred[bytes]:
        return self.gate.ask(b"%d" % number)

    def lineReceived(self, line: bytes) -> None:
        if not self.gate.answered(line):
            print("the server says", line.decode("ascii", "replace"))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.gate.lost(reason)


async def main(reactor, description: str, *numbers: str) -> None:
    asker = await connectProtocol(clientFromString(reactor, description), Asker(reactor))
    answers: list[bytes] = []
    progress = throttle(
        lambda: print(f"{len(answers)} of {len(numbers)}", flush=True), 1.0, reactor
    )

    def answered(answer: bytes) -> None:
        answers.append(answer)
        progress()

    await gatherResults([asker.square(int(each)).addCallback(answered) for each in numbers])
    await progress.flush()
    print(b" ".join(answers).decode("ascii"))
    asker.transport.loseConnection()


if __name__ == "__main__":
    react(main, sys.argv[1:])
