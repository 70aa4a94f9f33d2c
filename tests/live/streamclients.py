"""
HTTP/2 on real connections: a client that sees every frame.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hyperframe.frame import Frame, PingFrame, SettingsFrame

from tests import frames
from tests.live.clients import Address, Peer
from tests.live.processes import LiveTestCase, Server, freePort


class FramePeer:
    """
    One connection on which HTTP/2 is spoken, seen from its client.

    @ivar seen: the frames that were received, in order.
    """

    def __init__(self, address: Address, answering: bool = True) -> None:
        """
        @param answering: whether PINGs are answered.
        """
        self.peer: Peer = address.reach().secure("h2")
        self.seen: list[Any] = []
        self._client = frames.Client()
        self._answering = answering
        self.peer.send(frames.HELLO)

    def ask(self, stream: int, target: str) -> None:
        """
        Open a stream.
        """
        self.peer.send(self._client.get(stream, target))

    def next(self) -> Any:
        """
        Read one frame.

        @return: it; C{None} at the end of the connection, which has to be an orderly one.
        @raise OSError: it was not.
        """
        try:
            head = self.peer.exactly(9)
        except EOFError:
            return None
        frame, length = Frame.parse_frame_header(memoryview(head))
        frame.parse_body(memoryview(self.peer.exactly(length)))
        self.seen.append(frame)
        if "ACK" not in frame.flags:
            if isinstance(frame, SettingsFrame):
                self.peer.send(SettingsFrame(0, flags=["ACK"]).serialize())
            elif isinstance(frame, PingFrame) and self._answering:
                self.peer.send(frames.pong(frame.opaque_data))
        return frame

    def until(self, wanted: Callable[[Any], object]) -> Any:
        """
        Read up to the first frame that is wanted.

        @raise EOFError: the connection ended before.
        """
        while (frame := self.next()) is not None:
            if wanted(frame):
                return frame
        raise EOFError(f"the connection ended after {self.seen}")

    def untilGoodbye(self, last: int) -> None:
        """
        Read up to the GOAWAY that names this stream as the last.
        """
        self.until(lambda frame: frames.goodbyes([frame]) == [last])

    def untilAnswered(self, stream: int) -> None:
        """
        Read up to the end of the answer on a stream.
        """
        self.until(lambda frame: frame.stream_id == stream and "END_STREAM" in frame.flags)

    def rest(self) -> None:
        """
        Read to the end of the connection, which has to be an orderly one.
        """
        while self.next() is not None:
            pass

    def statuses(self) -> dict[int, str]:
        """
        With which status each stream was answered. To be called once.
        """
        heads = self._client.heads(self.seen)
        return {stream: head[":status"] for stream, head in heads.items()}

    def close(self) -> None:
        """
        Go away.
        """
        self.peer.close()


class StreamsTestCase(LiveTestCase):
    """
    Starts servers that speak HTTP/2.
    """

    def encrypted(self, *arguments: str, wait: bool = True) -> tuple[Server, Address]:
        """
        Start C{twistd terminable} on one port with TLS.
        """
        pem, address = self.certificate(), Address(port=freePort(), tls=True)
        port = f"{address.description}:certKey={pem}:privateKey={pem}"
        content = ("--class", "tests.live.streamservers.Root")
        server = self.launch("terminable", "--port", port, *content, *arguments)
        return (server.awaitReady() if wait else server), address

    def client(self, address: Address, **options: Any) -> FramePeer:
        """
        Connect.
        """
        peer = FramePeer(address, **options)
        self.addCleanup(peer.close)
        return peer

    def requests(self, server: Server) -> int:
        """
        How many requests the application of a server that is gone has seen.
        """
        lines = [line for line in server.log().splitlines() if "there were " in line]
        self.assertEqual(len(lines), 1, server.log())
        return int(lines[0].partition("there were ")[2].split()[0])
