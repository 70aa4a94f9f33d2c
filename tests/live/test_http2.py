"""
HTTP/2 connections end as RFC 9113, section 6.8, wants it: nothing that was taken is lost,
and nothing else is taken.
"""

from __future__ import annotations

import re
import subprocess

from hyperframe.frame import PingFrame

from tests.frames import EVERY, REFUSED_STREAM, bodies, goodbyes, resets
from tests.live.processes import PATIENCE, SLACK, eventually
from tests.live.programs import program
from tests.live.streamclients import StreamsTestCase

#: How many streams may be open at once; their numbers are odd.
MANY = 100


class OrderTests(StreamsTestCase):
    """
    A hundred answers in progress on one connection.
    """

    def test_everyFrame(self) -> None:
        """
        All are completed; the frames come in the right order, and no stream is reset.
        """
        server, address = self.encrypted()
        peer = self.client(address)
        streams = range(1, 2 * MANY, 2)
        for stream in streams:
            peer.ask(stream, f"/later?stopped=1&number={stream}")
        server.awaitLog(f"number={streams[-1]}")
        server.terminate()
        peer.rest()
        peer.close()
        self.assertLess(server.gone(), 1.0 + SLACK, server.log())
        self.assertEqual(bodies(peer.seen), dict.fromkeys(streams, b"later\n"))
        self.assertEqual(set(peer.statuses().values()), {"200"})
        self.assertEqual(resets(peer.seen), {})
        last = streams[-1]
        self.assertEqual(goodbyes(peer.seen), [EVERY, last, last])
        kinds = [type(frame).__name__.removesuffix("Frame") for frame in peer.seen]
        story = [kind for kind in kinds if kind not in ("WindowUpdate", "Data", "Headers")]
        self.assertEqual(story, ["Settings", "Settings", "GoAway", "Ping", "GoAway", "GoAway"])
        answers = [place for place, kind in enumerate(kinds) if kind in ("Data", "Headers")]
        named = kinds.index("GoAway", kinds.index("Ping"))
        self.assertEqual(kinds[-1], "GoAway")
        self.assertTrue(named < answers[0] < answers[-1] < len(kinds) - 1, kinds)
        self.assertIn("1 finished, 0 aborted", server.report())

    def test_nghttp(self) -> None:
        """
        The same for a client that somebody else has written.
        """
        nghttp = program("nghttp", "nghttp2-client")
        server, address = self.encrypted()
        target = f"https://127.0.0.1:{address.port}/later?stopped=1"
        command = [nghttp, "--no-verify-peer", "-nv", "-t", "30", "-m", str(MANY), target]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as client:
            asked = lambda: server.log().count("asked for") == MANY  # noqa: E731
            self.assertTrue(eventually(asked), server.log())
            server.terminate()
            trace, _ = client.communicate(timeout=PATIENCE)
        self.assertEqual(client.returncode, 0, trace)
        self.assertLess(server.gone(), 1.0 + SLACK, server.log())
        self.assertEqual(trace.count(":status: 200\n"), MANY, trace)
        self.assertEqual(trace.count("recv DATA frame <length=6,"), MANY, trace)
        ends = r"recv DATA frame <.*\n.*; END_STREAM"
        self.assertEqual(len(re.findall(ends, trace)), MANY, trace)
        self.assertNotIn("recv RST_STREAM", trace)
        said = re.findall(r"recv GOAWAY frame .*\n *\(last_stream_id=(\d+)", trace)
        last = re.findall(r"send HEADERS frame .*stream_id=(\d+)", trace)[-1]
        self.assertEqual(said, [str(EVERY), last, last])
        kinds = re.findall(r"recv ([A-Z_]+) frame", trace)
        self.assertEqual((kinds[0], kinds[-1]), ("SETTINGS", "GOAWAY"))
        self.assertEqual(self.requests(server), MANY)


class IdleTests(StreamsTestCase):
    """
    Connections on which nothing is in flight.
    """

    def test_used(self) -> None:
        """
        One that was used is told at once, and goes as soon as it has said that it knows.
        """
        server, address = self.encrypted("--idle-grace", "8")
        peer = self.client(address)
        peer.ask(1, "/sync")
        peer.untilAnswered(1)
        server.terminate()
        peer.rest()
        self.assertEqual(goodbyes(peer.seen), [EVERY, 1])
        peer.close()
        self.assertLess(server.gone(), 0.5 + SLACK, server.log())
        self.assertIn("1 idle, 0 finished, 0 aborted", server.report())

    def test_neverUsed(self) -> None:
        """
        One that was not used yet is kept for its first request until the end of the idle
        grace, and told then.
        """
        server, address = self.encrypted("--idle-grace", "0.5")
        peer = self.client(address)
        peer.next()
        self.served(address)
        server.terminate()
        peer.rest()
        self.assertEqual(goodbyes(peer.seen), [0])
        peer.close()
        self.assertBetween(0.5, server.gone(), 0.6, server.log())

    def served(self, address: object) -> None:
        """
        Have the server served somebody who came later.
        """
        other = self.client(address)  # type: ignore[arg-type]
        other.ask(1, "/sync")
        other.untilAnswered(1)
        other.close()

    def test_firstRequest(self) -> None:
        """
        The first request of one that was not used yet is answered, and the peer told with
        it.
        """
        server, address = self.encrypted("--idle-grace", "8")
        peer = self.client(address)
        peer.next()
        self.served(address)
        server.terminate()
        peer.ask(1, "/sync")
        peer.rest()
        self.assertEqual(goodbyes(peer.seen), [EVERY, 1])
        self.assertEqual(bodies(peer.seen), {1: b"sync\n"})
        peer.close()
        self.assertLess(server.gone(), 0.5 + SLACK, server.log())

    def test_dead(self) -> None:
        """
        One whose peer has died without a word goes at the end of the idle grace, and its
        socket not long after.
        """
        server, address = self.encrypted("--idle-grace", "0.5", "--linger", "0.5")
        peer = self.client(address, answering=False)
        peer.ask(1, "/sync")
        peer.untilAnswered(1)
        server.terminate()
        peer.until(lambda frame: isinstance(frame, PingFrame))
        self.assertBetween(0.5, server.gone(), 1.0, server.log())
        peer.rest()
        self.assertEqual(goodbyes(peer.seen), [EVERY, 1])
        self.assertIn("1 idle, 0 finished, 0 aborted", server.report())


class LateTests(StreamsTestCase):
    """
    Streams that are not wanted, or not done in time.
    """

    def test_refused(self) -> None:
        """
        A stream that is opened after the last one was named is refused, and the application
        does not see it.
        """
        server, address = self.encrypted()
        peer = self.client(address)
        peer.ask(1, "/later?stopped=1")
        server.awaitLog("asked for")
        server.terminate()
        peer.untilGoodbye(1)
        peer.ask(3, "/later?seconds=0.1")
        peer.rest()
        self.assertEqual(resets(peer.seen), {3: REFUSED_STREAM})
        self.assertEqual(bodies(peer.seen), {1: b"later\n"})
        peer.close()
        server.gone()
        self.assertEqual(self.requests(server), 1)

    def test_racing(self) -> None:
        """
        A stream that is opened before the peer has answered is served.
        """
        server, address = self.encrypted()
        peer = self.client(address, answering=False)
        peer.ask(1, "/later?stopped=1")
        server.awaitLog("asked for")
        server.terminate()
        peer.untilGoodbye(EVERY)
        peer.ask(3, "/later?seconds=0.1")
        peer.rest()
        self.assertEqual(resets(peer.seen), {})
        self.assertEqual(bodies(peer.seen), {1: b"later\n", 3: b"later\n"})
        peer.close()
        server.gone()
        self.assertEqual(self.requests(server), 2)

    def test_straggler(self) -> None:
        """
        What is not done at the deadline is named by method and target; who has had no part
        of an answer gets a 503.
        """
        server, address = self.encrypted("--grace", "0.5")
        peer = self.client(address)
        peer.ask(1, "/later?seconds=30")
        peer.ask(3, "/pieces?seconds=30")
        server.awaitLog("asked for /pieces")
        server.terminate()
        peer.rest()
        self.assertEqual(peer.statuses(), {1: "503", 3: "200"})
        self.assertEqual(bodies(peer.seen), {})
        peer.close()
        self.assertBetween(0.5, server.gone(), 0.7, server.log())
        report = server.report()
        self.assertIn("0 finished, 1 aborted", report)
        self.assertIn("GET /later?seconds=30, GET /pieces?seconds=30 from 127.0.0.1:", report)
        self.assertIn("told 503", report)
        self.assertNotIn("Traceback", server.log())


class ClientsTests(StreamsTestCase):
    """
    Clients that somebody else has written, with an answer in progress.
    """

    def complete(self, *command: str) -> str:
        """
        Run a client which asks for C{/pieces}, and have the server stop under its answer.

        @return: what the client says.
        """
        server, address = self.encrypted()
        where = f"https://127.0.0.1:{address.port}"
        words = [word.replace("WHERE", where) for word in command]
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as client:
            server.awaitLog("asked for")
            server.terminate()
            said, _ = client.communicate(timeout=PATIENCE)
        self.assertEqual(client.returncode, 0, said)
        self.assertLess(server.gone(), 1.5 + SLACK, server.log())
        self.assertIn("1 finished, 0 aborted", server.report())
        return said

    def test_curl(self) -> None:
        """
        curl gets the whole answer.
        """
        curl = program("curl", "curl")
        target = "WHERE/pieces?count=7&seconds=0.2"
        form = "%{http_version} %{http_code}"
        said = self.complete(curl, "-sSk", "--http2", "-m", "30", "-w", form, target)
        self.assertEqual(said, "piece\n" * 7 + "2 200")

    def test_node(self) -> None:
        """
        Node.js, which says goodbye itself as soon as it is told, gets whole answers.
        """
        node = program("node", "nodejs")
        said = self.complete(node, "-e", NODE)
        self.assertEqual(said.split(), ["200", "200", "done", "done"] + ["piece"] * 14)


NODE = """
const client = require('http2').connect('WHERE', {rejectUnauthorized: false});
let left = 2, statuses = [], codes = [], text = '';
for (let i = 0; i < 2; i++) {
    const request = client.request({':path': '/pieces?count=7&seconds=0.2'});
    request.on('response', headers => statuses.push(headers[':status']));
    request.on('data', data => { text += data; });
    request.on('close', () => {
        codes.push(request.rstCode ? 'reset' : 'done');
        if (!--left) {
            console.log([...statuses, ...codes, text].join('\\n'));
            client.close();
        }
    });
}
"""
