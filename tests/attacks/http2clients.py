"""
Somebody who speaks HTTP/2, bit by bit.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from hyperframe.frame import DataFrame, PingFrame, SettingsFrame, WindowUpdateFrame

from tests import frames
from tests.attacks.clients import Client
from tests.attacks.site import answerTo

#: The window of a connection, in bytes: RFC 9113, section 6.9.2.
WINDOW = 65_535


class Stream:
    """
    One request.

    @ivar begun: how much the client had written when it was asked for; C{None} before.
    @ivar ended: how much it had written when nothing of it was left to write.
    @ivar generous: whether the window was made large enough for every answer.
    """

    def __init__(self, kind: str, method: str, pieces: list[bytes]) -> None:
        """
        @param kind: of the answer, see L{answerTo}.
        @param pieces: of its body.
        """
        self.made = (kind, method, pieces)
        self.kind, self.method, self.pieces = kind, method, list(pieces)
        self.body = b"".join(pieces)
        self.number = 0
        self.path = b""
        self.begun: int | None = None
        self.ended: int | None = None
        self.cancelled = self.generous = False

    def isAnswer(self, status: int, body: bytes) -> bool:
        """
        Whether that may be its answer.
        """
        if self.kind == "fails":
            return status == 500
        return (status, body) == answerTo(self.path, self.method.encode("ascii"), self.body)

    def __repr__(self) -> str:
        return f"Stream{self.made!r}"


class Talk:
    """
    What one client asks for, and how it is.
    """

    def __init__(self, streams: list[Stream], window: int, rude: bool, together: bool) -> None:
        """
        @param window: of each stream, in bytes.
        @param rude: whether it asks for more after it was told that nothing more is wanted.
        @param together: whether it answers what it reads at once, or when it is told to.
        """
        self.streams, self.window, self.rude, self.together = streams, window, rude, together

    def __repr__(self) -> str:
        return f"Talk{(self.streams, self.window, self.rude, self.together)!r}"


class Speaker(Client):
    """
    Speaks HTTP/2.

    @ivar number: which of all clients it is.
    @ivar frames: what was received.
    @ivar taken: how much the server must have taken: what had been sent when it last had a turn.
    """

    def __init__(self, talk: Talk, sock: Any, name: str) -> None:
        super().__init__([], sock, name)
        self.wants = talk
        self.streams: list[Stream] = []
        self.frames: list[Any] = []
        self.taken = 0
        self.toldToGo = False
        self.saidGoodbye = False
        self.number = 0
        self._rest = b""
        self._owed: Counter[int] = Counter()
        self._answers: list[bytes] = []
        self._wire = frames.Client()
        settings = SettingsFrame(0, settings={SettingsFrame.INITIAL_WINDOW_SIZE: talk.window})
        self.data = frames.PREFACE + settings.serialize()

    # -- what it says

    def _write(self, data: bytes) -> None:
        self.data += data

    @property
    def _toAsk(self) -> list[Stream]:
        silent = self.saidGoodbye or (self.toldToGo and not self.wants.rude)
        return [] if silent else self.wants.streams[len(self.streams) :]

    def ask(self) -> None:
        """
        One more request.
        """
        if not self._toAsk:
            return
        stream = self._toAsk[0]
        self.streams.append(stream)
        stream.number = 2 * len(self.streams) - 1
        path = f"/{stream.kind}/{self.number}-{stream.number}"
        stream.path = path.encode("ascii")
        stream.begun = len(self.data)
        last = not stream.pieces
        self._write(self._wire.get(stream.number, path, last, stream.method))
        if last:
            stream.ended = len(self.data)

    def saySome(self) -> bool:
        """
        One more piece of a body.

        @return: whether there was one.
        """
        for stream in self.streams:
            if stream.pieces and not stream.cancelled:
                piece = stream.pieces.pop(0)
                self._write(frames.data(stream.number, piece, not stream.pieces))
                if not stream.pieces:
                    stream.ended = len(self.data)
                return True
        return False

    def cancel(self) -> None:
        """
        Do without the oldest answer that has not come.
        """
        done = self.complete()
        for stream in self.streams:
            # Twisted does not bear both at once.
            taken = stream.begun is not None and stream.begun < self.taken - 100
            if taken and not stream.cancelled and stream.number not in done:
                stream.cancelled = True
                self._write(frames.reset(stream.number))
                return

    def goAway(self) -> None:
        """
        Answer a goodbye: no more requests will come.  Without one, Twisted gives up all streams.
        """
        if self.toldToGo and not self.saidGoodbye:
            self.saidGoodbye = True
            self._write(frames.goAway())

    def reply(self) -> None:
        """
        Answer what asks for an answer, and make room for more.
        """
        for number, count in self._owed.items():
            if count:
                frame = WindowUpdateFrame(number, window_increment=count)
                self._write(frame.serialize())
        self._owed.clear()
        self._write(b"".join(self._answers))
        self._answers.clear()

    def proceed(self) -> None:
        """
        Say what is still to be said, and wait for no more windows.
        """
        self.reply()
        for stream in self.streams:
            if not stream.generous and not stream.cancelled:
                stream.generous = True
                frame = WindowUpdateFrame(stream.number, window_increment=WINDOW)
                self._write(frame.serialize())
        if self.sent == len(self.data) and not self.saySome():
            self.ask()

    @property
    def said(self) -> bool:
        """
        See L{Client.said}.
        """
        pieces = any(stream.pieces and not stream.cancelled for stream in self.streams)
        return super().said and not self._toAsk and not pieces

    # -- what it reads

    def read(self, limit: int) -> None:
        """
        See L{Client.read}.
        """
        before = len(self.received)
        super().read(limit)
        self._rest += self.received[before:]
        frame, self._rest = frames.take(self._rest)
        while frame is not None:
            self.frames.append(frame)
            self._see(frame)
            frame, self._rest = frames.take(self._rest)
        if self.wants.together:
            self.reply()

    def _see(self, frame: Any) -> None:
        if isinstance(frame, DataFrame) and frame.flow_controlled_length:
            self._owed[0] += frame.flow_controlled_length
            if "END_STREAM" not in frame.flags:
                self._owed[frame.stream_id] += frame.flow_controlled_length
        elif isinstance(frame, PingFrame) and "ACK" not in frame.flags:
            self._answers.append(frames.pong(frame.opaque_data))
        elif isinstance(frame, SettingsFrame) and "ACK" not in frame.flags:
            self._answers.append(SettingsFrame(0, flags=["ACK"]).serialize())
        elif type(frame).__name__ == "GoAwayFrame":
            self.toldToGo = True

    @property
    def partial(self) -> bool:
        """
        Whether the last frame is not complete.
        """
        return bool(self._rest)

    def complete(self) -> set[int]:
        """
        The streams that have been answered, or reset.
        """
        ended = {frame.stream_id for frame in self.frames if "END_STREAM" in frame.flags}
        return ended | set(frames.resets(self.frames))

    def replies(self) -> dict[int, tuple[int, bytes]]:
        """
        The complete answers.
        """
        heads = self._wire.heads(self.frames)
        parts: dict[int, bytes] = dict.fromkeys(heads, b"")
        for frame in self.frames:
            if isinstance(frame, DataFrame):
                parts[frame.stream_id] += frame.data
        ended = {frame.stream_id for frame in self.frames if "END_STREAM" in frame.flags}
        return {
            number: (int(head[":status"]), parts[number])
            for number, head in heads.items()
            if number in ended
        }
