"""
The files of the status page: nothing from elsewhere, and nothing that the API does not have.

What the page does in a browser is tried in C{tests/live/test_page.py}.
"""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from terminable.admin.actions import ACTIONS
from terminable.admin.guard import OPEN
from terminable.admin.listing import SORTS
from terminable.admin.openapi import description
from terminable.admin.schemas import PHASES, SCHEMAS
from terminable.admin.words import STATES

PAGE = Path(__file__).parent.parent / "terminable" / "admin" / "page"

HTML, CSS, *SCRIPTS = (
    (PAGE / name).read_text() for name in ("index.html", "page.css", "page.js", "words.js")
)
JS = "".join(SCRIPTS)

#: What the page loads; its script loads the last one.
FILES = ("page.css", "page.js", "words.js")

#: What a screen reader or a browser follows from one element to another.
REFERENCES = ("aria-labelledby", "data-dialog", "for")


class Elements(HTMLParser):
    """
    Takes a page apart.

    @ivar all: each element as its name and its attributes.
    """

    def __init__(self) -> None:
        super().__init__()
        self.all: list[tuple[str, dict[str, str]]] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        """
        See C{HTMLParser.handle_starttag}.
        """
        self.all.append((tag, {name: value or "" for name, value in attrs}))


class PageTestCase(SynchronousTestCase):
    """
    Reads the files.
    """

    def setUp(self) -> None:
        elements = Elements()
        elements.feed(HTML)
        self.elements = elements.all

    def values(self, name: str, tag: str = "") -> list[str]:
        """
        @return: all values of an attribute.
        """
        return [
            attributes[name]
            for each, attributes in self.elements
            if name in attributes and tag in ("", each)
        ]


class FileTests(PageTestCase):
    """
    What the policy of the admin door demands, and the rules of this project.
    """

    def test_nothingFromElsewhere(self) -> None:
        """
        Only the files beside it are loaded.
        """
        loaded = set(self.values("src") + self.values("href", "link"))
        loaded |= {each.removeprefix("./") for each in re.findall(r"from \"(.*)\"", JS)}
        self.assertEqual({each for each in loaded if not each.startswith("data:")}, set(FILES))
        self.assertNotIn("import(", JS)
        links = {"#connections", "status", "connections"}
        self.assertEqual(set(self.values("href", "a")), links)
        namespaces = re.sub(r"http://www\.w3\.org/(2000/svg|1999/xhtml|\$\{kind\})", "", HTML + JS)
        self.assertNotRegex(namespaces, r"https?:|['\"`(]//")
        self.assertNotRegex(CSS, r"url\(|@import")

    def test_olderBrowsers(self) -> None:
        """
        No selector is newer than the browsers that the documentation names.
        """
        self.assertNotIn(":has(", HTML + CSS + JS)

    def test_served(self) -> None:
        """
        These files need no token, as the page itself.
        """
        self.assertTrue({b"/", *(f"/{name}".encode() for name in FILES)} <= OPEN)

    def test_nothingInline(self) -> None:
        """
        No script, no style and no listener stands in the page, and none is made of text.
        """
        tags = [tag for tag, _ in self.elements]
        self.assertNotIn("style", tags)
        self.assertEqual(self.values("src", "script"), ["page.js"])
        self.assertEqual(tags.count("script"), 1)
        names = {name for _, attributes in self.elements for name in attributes}
        self.assertEqual(
            {name for name in names if name.startswith("on")} | (names & {"style"}), set()
        )
        self.assertNotRegex(JS, r"innerHTML|outerHTML|insertAdjacent|document\.write|\beval\b")

    def test_short(self) -> None:
        """
        No file is longer than others of this project.
        """
        for text in (HTML, CSS, *SCRIPTS):
            self.assertLess(text.count("\n"), 400)

    def test_references(self) -> None:
        """
        What refers to an element refers to one that is there.
        """
        ids = self.values("id")
        self.assertEqual(len(ids), len(set(ids)))
        wanted = {name for key in REFERENCES for each in self.values(key) for name in each.split()}
        wanted |= set(re.findall(r"(?:byId|say)\(\"(\w+)\"", JS))
        wanted |= set(re.findall(r"dialog: \"(\w+)\"", JS))
        self.assertEqual(wanted - set(ids), set())


class ContractTests(PageTestCase):
    """
    The page and the API mean the same.
    """

    def test_actions(self) -> None:
        """
        Each form posts to an action, and every action has one, with fields that it knows.
        """
        posted = {f"/{path}".encode() for path in self.values("data-path")}
        self.assertEqual(posted, set(ACTIONS))
        known = description()["paths"]
        path = ""
        for tag, attributes in self.elements:
            path = attributes.get("data-path", path) if tag == "form" else path
            if tag == "input" and path:
                content = known[f"/{path}"]["post"]["requestBody"]["content"]
                fields = content["application/json"]["schema"]["properties"]
                self.assertIn(attributes["name"], fields, path)

    def test_phases(self) -> None:
        """
        Actions are for phases that there are.
        """
        for value in self.values("data-when"):
            self.assertEqual(set(value.split()) - set(PHASES), set())

    def test_choices(self) -> None:
        """
        What can be chosen is what can be asked for.
        """
        values = set(self.values("value", "option"))
        self.assertEqual(values - {*STATES, *SORTS, ""}, set())
        self.assertEqual(set(SORTS) - values, set())

    def test_fields(self) -> None:
        """
        Whatever is read of a status, a connection or a report is told.
        """
        used = {
            "Status": re.findall(r"\bstatus\??\.(\w+)", JS),
            "Connection": re.findall(r"\b(?:each|connection)\.(lastReceived|received|\w+sent)", JS),
            "Report": re.findall(r"\breport\??\.(\w+)", JS),
        }
        for name, fields in used.items():
            self.assertTrue(fields, name)
            known: dict[str, Any] = SCHEMAS[name]["properties"]
            self.assertEqual(set(fields) - set(known), set(), name)
        taken = re.search(r"function showDetails\(\{ (.*) \}\)", JS)
        assert taken is not None
        self.assertEqual(set(taken[1].split(", ")) - set(SCHEMAS["Status"]["properties"]), set())


class ColourTests(SynchronousTestCase):
    """
    Contrasts (WCAG 2.2, success criteria 1.4.3 and 1.4.11).
    """

    #: Text, what is behind it, and how much at least.
    PAIRS = (
        ("text", "ground", 4.5),
        ("text", "surface", 4.5),
        ("quiet", "ground", 4.5),
        ("quiet", "surface", 4.5),
        ("quiet", "band", 4.5),
        ("quiet", "bandLate", 4.5),
        ("text", "endingGround", 4.5),
        ("good", "goodGround", 4.5),
        ("ending", "endingGround", 4.5),
        ("danger", "badGround", 4.5),
        ("danger", "surface", 4.5),
        ("danger", "endingGround", 4.5),
        ("onAccent", "accent", 4.5),
        ("onDanger", "danger", 4.5),
        ("accent", "surface", 4.5),
        # Not text: curves, what can be pressed, and the focus.
        ("busy", "surface", 3.0),
        ("idle", "surface", 3.0),
        ("waiting", "surface", 3.0),
        ("edge", "surface", 3.0),
        ("accent", "ground", 3.0),
    )

    def test_contrasts(self) -> None:
        """
        In the light and in the dark.
        """
        light, dark = (
            dict(re.findall(r"--(\w+): (#[0-9a-f]{6});", part))
            for part in CSS.partition("prefers-color-scheme: dark")[::2]
        )
        self.assertEqual(set(light), set(dark))
        for colours in (light, dark):
            for front, back, least in self.PAIRS:
                found = contrast(colours[front], colours[back])
                self.assertGreaterEqual(found, least, f"{front} on {back}")


def contrast(front: str, back: str) -> float:
    """
    @param front: a colour such as C{#0a5c9e}.
    @return: from 1 to 21.
    """
    low, high = sorted(map(luminance, (front, back)))
    return (high + 0.05) / (low + 0.05)


def luminance(colour: str) -> float:
    """
    @return: from 0 to 1 (WCAG 2.2, "relative luminance").
    """
    parts = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
