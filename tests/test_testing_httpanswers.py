"""
HTTP/1.1 as a client sees it.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from terminable.testing.httpanswers import Answer, readAnswers, writeRequest

OK = b"HTTP/1.1 200 OK\r\n"


class ReadingTests(SynchronousTestCase):
    """
    Answers are read.
    """

    def one(self, data: bytes, method: str = "GET", ended: bool = False) -> Answer:
        """
        The one answer there is, with nothing behind it.
        """
        [answer], rest = readAnswers(data, [method], ended)
        self.assertEqual(rest, b"")
        return answer

    def body(self, data: bytes, method: str = "GET", ended: bool = False) -> tuple[bytes, bool]:
        """
        Its body, and whether it is complete.
        """
        answer = self.one(data, method, ended)
        return answer.body, answer.complete

    def test_head(self) -> None:
        """
        Status, reason, version and headers are as they came; names have no case, and values
        of one name are one list.
        """
        answer = self.one(b"HTTP/1.0 404 Not  here\r\nA: 1\r\nb:\t2 \r\na: 3\r\n\r\n", ended=True)
        self.assertEqual(
            (answer.status, answer.reason, answer.version), (404, "Not  here", "HTTP/1.0")
        )
        self.assertEqual(answer.headers, (("A", "1"), ("b", "2"), ("a", "3")))
        self.assertEqual((answer.header("a"), answer.header("B")), ("1, 3", "2"))
        self.assertIsNone(answer.header("c"))

    def test_length(self) -> None:
        """
        A body may have a length, told once or twice the same.
        """
        for told in (b"3", b"3, 3"):
            head = OK + b"Content-Length: " + told + b"\r\n\r\n"
            self.assertEqual(self.body(head + b"abc"), (b"abc", True))
            self.assertEqual(self.body(head + b"ab"), (b"ab", False))
            self.assertEqual(self.body(head + b"ab", ended=True), (b"ab", False))

    def test_chunks(self) -> None:
        """
        Or come in chunks, with extensions and trailers; until the last line has come it is not
        complete.
        """
        head = OK + b"Transfer-Encoding: gzip, Chunked\r\nContent-Length: 1\r\n\r\n"
        whole = b"3;a=b\r\nabc\r\nA \r\n0123456789\r\n0\r\nTrailer: 1\r\n\r\n"
        self.assertEqual(self.body(head + whole), (b"abc0123456789", True))
        for length in range(len(whole)):
            body, complete = self.body(head + whole[:length], ended=True)
            self.assertFalse(complete, whole[:length])
            self.assertTrue(b"abc0123456789".startswith(body))

    def test_untilTheEnd(self) -> None:
        """
        Or last until the connection ends.
        """
        for head in (OK + b"\r\n", OK + b"Transfer-Encoding: gzip\r\nContent-Length: 1\r\n\r\n"):
            self.assertEqual(self.body(head + b"abc"), (b"abc", False))
            self.assertEqual(self.body(head + b"abc", ended=True), (b"abc", True))

    def test_bodiless(self) -> None:
        """
        Some answers have no body, whatever their headers say.
        """
        length = b"Content-Length: 10\r\n\r\n"
        self.assertEqual(self.body(OK + length, "head"), (b"", True))
        for status in (b"204", b"304"):
            self.assertEqual(self.body(b"HTTP/1.1 " + status + b" No\r\n" + length), (b"", True))

    def test_several(self) -> None:
        """
        Answers stand behind one another; those of 1xx answer no request.
        """
        data = (
            b"HTTP/1.1 100 Continue\r\n\r\n"
            + (OK + b"Content-Length: 9\r\n\r\n")
            + (OK + b"Content-Length: 1\r\n\r\nx")
            + OK
        )
        answers, rest = readAnswers(data, ["HEAD", "GET"])
        self.assertEqual([answer.status for answer in answers], [100, 200, 200])
        self.assertEqual([answer.body for answer in answers], [b"", b"", b"x"])
        self.assertEqual(rest, OK)

    def test_tunnels(self) -> None:
        """
        After 101, and 2xx to CONNECT, there is no more HTTP.
        """
        [answer], rest = readAnswers(b"HTTP/1.1 101 Switching\r\n\r\n\x81\x00")
        self.assertEqual((answer.status, answer.complete, rest), (101, True, b"\x81\x00"))
        [answer], rest = readAnswers(OK + b"Content-Length: 5\r\n\r\nother", ["CONNECT"])
        self.assertEqual((answer.complete, rest), (True, b"other"))
        answers, _ = readAnswers(b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n" + OK, ["CONNECT"])
        self.assertEqual([answer.status for answer in answers], [403])

    def test_closing(self) -> None:
        """
        Whether it is the last on its connection.
        """
        for version, header, expected in (
            (b"1.1", b"", False),
            (b"1.1", b"Connection: keep-alive, Close\r\n", True),
            (b"1.1", b"Connection: Upgrade\r\n", False),
            (b"1.0", b"", True),
            (b"1.0", b"Connection: Keep-Alive\r\n", False),
        ):
            answer = self.one(b"HTTP/" + version + b" 204 No\r\n" + header + b"\r\n")
            self.assertEqual(answer.closing, expected, header)

    def test_nonsense(self) -> None:
        """
        Whatever else is no HTTP/1.
        """
        chunked = OK + b"Transfer-Encoding: chunked\r\n\r\n"
        for data in (
            b"220 hello\r\n\r\n",
            b"HTTP/2 200 OK\r\n\r\n",
            b"HTTP/1.1 2000 OK\r\n\r\n",
            b"HTTP/1.1 2x0 OK\r\n\r\n",
            OK + b"no header\r\n\r\n",
            OK + b": nameless\r\n\r\n",
            OK + b"Name : spaced\r\n\r\n",
            OK + b"Content-Length: 1, 2\r\n\r\n",
            OK + b"Content-Length: +1\r\n\r\n",
            OK + b"Content-Length: \xb2\r\n\r\n",
            chunked + b"\r\n",
            chunked + b"-1\r\n",
            chunked + b"1_0\r\n",
            chunked + b"1\r\nabc",
        ):
            self.assertRaises(ValueError, readAnswers, data)

    def test_nothing(self) -> None:
        """
        Nothing is nothing.
        """
        self.assertEqual(readAnswers(b""), ([], b""))


class WritingTests(SynchronousTestCase):
    """
    Requests are written.
    """

    def test_request(self) -> None:
        """
        With what is asked for, and the length of a body.
        """
        self.assertEqual(writeRequest(), b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        self.assertEqual(
            writeRequest("/a?b", "POST", b"abc", {"X-Y": "1"}, "shop"),
            b"POST /a?b HTTP/1.1\r\nHost: shop\r\nX-Y: 1\r\nContent-Length: 3\r\n\r\nabc",
        )
