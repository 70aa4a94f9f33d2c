"""
What a browser sees of a server that is stopped.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.live.clients import HOST
from tests.live.processes import PATIENCE, SLACK, eventually
from tests.live.programs import program
from tests.live.test_websockets import SocketsTestCase
from tests.live.wsservers import QUEUED

#: How long a browser may need to start on a busy machine.
STARTING = 40.0

#: Nobody to talk to but our own machine, and nothing to do of its own accord.
ALONE = (
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
    "--allow-browser-signin=false",
    "--disable-background-networking",
    "--disable-breakpad",
    "--disable-client-side-phishing-detection",
    "--disable-component-extensions-with-background-pages",
    "--disable-component-update",
    "--disable-crash-reporter",
    "--disable-default-apps",
    "--disable-domain-reliability",
    "--disable-extensions",
    "--disable-features=AutofillServerCommunication,CertificateTransparencyComponentUpdater,"
    "MediaRouter,NetworkTimeServiceQuerying,OptimizationHints,Translate",
    "--disable-sync",
    "--metrics-recording-only",
    "--no-default-browser-check",
    "--no-first-run",
    "--no-pings",
)

#: What a page tells at the end.
ENDS: tuple[Any, ...] = ([1001, "", True], "over")

#: Opens everything, and tells all that happens.
PAGE = """
<!doctype html>
<title>page</title>
<script>
let told = Promise.resolve();
const tell = (name, what) => {
    const body = JSON.stringify([name, what]);
    // One after the other, so that they arrive in this order.
    told = told.then(() => fetch(COLLECTOR, {method: "POST", body: body}));
};
for (const url of SOCKETS) {
    const socket = new WebSocket(url);
    socket.onmessage = event => tell(url, event.data);
    socket.onclose = event => tell(url, [event.code, event.reason, event.wasClean]);
}
for (const url of STREAMS) {
    const events = new EventSource(url);
    events.onmessage = event => {
        events.onmessage = null;
        tell(url, event.data);
    };
    events.addEventListener("bye", event => tell(url, event.data));
    events.onerror = event => {
        tell(url, "over");
        events.close();
    };
}
</script>
"""


class Collector(ThreadingHTTPServer):
    """
    Takes what a page of another server tells, and writes it down.

    @ivar told: what was told, by name.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__((HOST, 0), Collecting)
        self.told: dict[str, list[Any]] = {}
        self._serving = threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True)
        self._serving.start()

    @property
    def url(self) -> str:
        """
        Where it is to be told.
        """
        return f"http://{HOST}:{self.server_address[1]}/"

    def cleanUp(self) -> None:
        """
        Leave nothing behind.
        """
        self.shutdown()
        self._serving.join()
        self.server_close()


class Collecting(BaseHTTPRequestHandler):
    """
    One request.
    """

    server: Collector

    def do_POST(self) -> None:
        """
        Something is told.
        """
        name, what = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.told.setdefault(name, []).append(what)
        self.send_response(204)
        self.send_header("Access-Control-Allow-Origin", "*")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """
        Of no interest.
        """


class Browser:
    """
    A browser with one page.

    @ivar complaints: the file that it writes them to.
    """

    def __init__(self, path: str, directory: Path, proxy: str, url: str) -> None:
        command = [
            path,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--ignore-certificate-errors",
            f"--user-data-dir={directory / 'profile'}",
            *ALONE,
            # Whatever it wants of anybody else, it has to ask us for, and does not get.
            f"--proxy-server={proxy}",
            url,
        ]
        self.complaints = directory / "complaints"
        with self.complaints.open("wb") as log:
            self._process = subprocess.Popen(
                command,
                cwd=directory,
                env={**os.environ, "HOME": str(directory), "XDG_RUNTIME_DIR": str(directory)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # All of its processes are in one group.
                start_new_session=True,
            )

    def cleanUp(self) -> None:
        """
        Leave none of its processes behind.
        """
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(PATIENCE)


class BrowserTests(SocketsTestCase):
    """
    Chromium.
    """

    def setUp(self) -> None:
        self.path = program("chromium", "chromium")
        self.collector = Collector()
        self.addCleanup(self.collector.cleanUp)

    @property
    def told(self) -> dict[str, list[Any]]:
        """
        What the page has told.
        """
        return self.collector.told

    @property
    def streams(self) -> list[str]:
        """
        Where the event streams are.
        """
        return [
            f"{'https' if address.tls else 'http'}://{HOST}:{address.port}/events"
            for address in self.web
        ]

    def page(self) -> str:
        """
        See L{SocketsTestCase.page}.
        """
        page = PAGE
        for name, value in (
            ("COLLECTOR", self.collector.url),
            ("SOCKETS", self.urls),
            ("STREAMS", self.streams),
        ):
            page = page.replace(name, json.dumps(value))
        return page

    def browse(self, url: str) -> Browser:
        """
        Have a browser open a page.
        """
        directory = self.directory()
        browser = Browser(self.path, directory, self.collector.url, url)
        self.addCleanup(browser.cleanUp)
        return browser

    def test_page(self) -> None:
        """
        WebSockets are closed cleanly, with our code and behind what was sent; event streams
        end behind the event that says so, over HTTP/1.1 and over HTTP/2.
        """
        server = self.serving(gracePeriod=10.0)
        browser = self.browse(f"http://{HOST}:{self.web[0].port}/page")
        everything = len(self.urls) + len(self.streams)
        if not eventually(lambda: len(self.told) == everything, STARTING):
            raise AssertionError(f"{self.told}\n{browser.complaints.read_text()}")
        server.terminate()
        self.assertLess(server.gone(), 5.0 + SLACK, server.log())
        eventually(lambda: all(said[-1] in ENDS for said in list(self.told.values())))
        messages = ["hello", *map(str, range(QUEUED))]
        for url in self.urls:
            self.assertEqual(self.told[url], [*messages, [1001, "", True]])
        for url in self.streams:
            self.assertEqual(self.told[url], ["tick", "the last", "over"])
        self.assertIn("0 aborted", server.report())
        self.assertNotIn("Traceback", server.log())
