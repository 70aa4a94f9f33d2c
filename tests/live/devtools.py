"""
A browser that is told what to do, by the DevTools protocol.
"""

from __future__ import annotations

import base64
import contextlib
import itertools
import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from websockets.sync.client import connect

from tests.live.clients import HOST
from tests.live.processes import PATIENCE, eventually
from tests.live.test_browser import ALONE, STARTING

#: Keys that are pressed by their names: the code of each, and the text that it makes.
KEYS = {"Tab": (9, ""), "Enter": (13, "\r"), "Escape": (27, ""), " ": (32, " ")}


class Page:
    """
    One page in a browser of its own.

    @ivar complaints: what the browser has logged: errors, and what a policy forbids.
    """

    def __init__(self, program: str, directory: Path) -> None:
        self._directory = directory
        self._numbers = itertools.count(1)
        self.complaints: list[str] = []
        with (directory / "complaints").open("wb") as log:
            self._process = subprocess.Popen(
                self._command(program),
                cwd=directory,
                env={**os.environ, "HOME": str(directory), "XDG_RUNTIME_DIR": str(directory)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # All of its processes are in one group.
                start_new_session=True,
            )
        self._cleaning = contextlib.ExitStack()
        self._cleaning.callback(self._end)
        try:
            talking = connect(self._url(), max_size=None, compression=None, open_timeout=STARTING)
            self._socket = self._cleaning.enter_context(talking)
        except BaseException:
            self._cleaning.close()
            raise
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def _command(self, program: str) -> list[str]:
        return [
            program,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--hide-scrollbars",
            f"--user-data-dir={self._directory / 'profile'}",
            "--remote-debugging-port=0",
            *ALONE,
            # Whatever it wants of anybody else goes where nobody is.
            f"--proxy-server={HOST}:9",
            "about:blank",
        ]

    def _url(self) -> str:
        file = self._directory / "profile" / "DevToolsActivePort"
        if not eventually(lambda: file.exists() and "\n" in file.read_text(), STARTING):
            raise AssertionError((self._directory / "complaints").read_text(errors="replace"))
        place = f"http://{HOST}:{file.read_text().split()[0]}/json/list"

        def pages() -> list[Any]:
            with urlopen(place, timeout=PATIENCE) as answer:
                return [each for each in json.load(answer) if each["type"] == "page"]

        return str(eventually(pages, STARTING)[0]["webSocketDebuggerUrl"])

    def cleanUp(self) -> None:
        """
        Leave none of its processes behind.
        """
        self._cleaning.close()

    def _end(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(PATIENCE)

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """
        @return: the result of a method of the protocol.
        @raise AssertionError: the browser says that it is an error.
        """
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            told = json.loads(self._socket.recv(timeout=STARTING))
            if told.get("id") == number:
                if "error" in told:
                    raise AssertionError(f"{method}: {told['error']}")
                result: dict[str, Any] = told["result"]
                return result
            self._note(told)

    def _note(self, told: dict[str, Any]) -> None:
        if told["method"] == "Log.entryAdded":
            entry = told["params"]["entry"]
            self.complaints.append(f"{entry['source']}: {entry['text']} {entry.get('url', '')}")
        elif told["method"] == "Runtime.exceptionThrown":
            self.complaints.append(json.dumps(told["params"]["exceptionDetails"]))

    def open(self, url: str) -> None:
        """
        Have it open a page, and return when that is there.
        """
        self.call("Page.navigate", url=url)
        self.awaits("document.readyState === 'complete' && location.href !== 'about:blank'")

    def tell(self, expression: str) -> Any:
        """
        @return: the value of an expression, or what it promises, as JSON has it.
        """
        told = self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        if "exceptionDetails" in told:
            raise AssertionError(f"{expression[:200]}: {told['exceptionDetails']}")
        return told["result"].get("value")

    def text(self, selector: str) -> str:
        """
        @return: what somebody can read there; an empty string if it is not shown.
        """
        node = f"document.querySelector({json.dumps(selector)})"
        return str(self.tell(f"{node}?.checkVisibility() ? {node}.innerText : ''"))

    def awaits(self, expression: str, patience: float = PATIENCE) -> Any:
        """
        @return: the value of the expression as soon as that is true.
        """
        value = eventually(lambda: self.tell(expression), patience)
        if not value:
            seen = self.tell("document.body.innerText")
            raise AssertionError(f"{expression} is {value!r} in\n{seen}\n{self.complaints}")
        return value

    def looks(self, width: int, height: int, dark: bool = False) -> None:
        """
        Give its window a size, and a colour scheme.
        """
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])

    def press(self, selector: str) -> None:
        """
        Press the mouse on the middle of something.
        """
        where = self.tell(
            f"""(() => {{
                const node = document.querySelector({json.dumps(selector)});
                node.scrollIntoView({{block: "center", behavior: "instant"}});
                const box = node.getBoundingClientRect();
                return [box.x + box.width / 2, box.y + box.height / 2];
            }})()"""
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.call(
                "Input.dispatchMouseEvent",
                type=kind,
                x=where[0],
                y=where[1],
                button="left",
                clickCount=1,
            )

    def key(self, name: str) -> None:
        """
        Press a key.
        """
        code, text = KEYS[name]
        key = {"key": name, "windowsVirtualKeyCode": code}
        self.call("Input.dispatchKeyEvent", type="keyDown", text=text, **key)
        self.call("Input.dispatchKeyEvent", type="keyUp", **key)

    def write(self, text: str) -> None:
        """
        Write into what has the focus.
        """
        self.call("Input.insertText", text=text)

    def picture(self) -> bytes:
        """
        @return: the whole page as it looks, in PNG.
        """
        told = self.call("Page.captureScreenshot", captureBeyondViewport=True)
        return base64.b64decode(told["data"])
