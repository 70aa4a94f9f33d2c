"""
What is written to a file of results: the machine, who was measured, and all sheets.
"""

from __future__ import annotations

import json
import os
import platform
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.figures import Figure
from benchmarks.machine import HERE
from benchmarks.sheets import Sheet

#: Where the figures of the README come from.
RESULTS = HERE / "results" / "comparison.json"

#: Changes when older files cannot be read any more.
FORMAT = 1


def machine() -> dict[str, Any]:
    """
    What a reader of figures has to know of this machine.
    """
    kernel = re.match(r"\d+\.\d+", platform.release())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cores": len(os.sched_getaffinity(0)),
        "memory GiB": round(memory / 2**30),
        "system": platform.system(),
        "kernel": kernel[0] if kernel else "",
        "processor": platform.machine(),
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
        "load before": round(os.getloadavg()[0], 2),
    }


@dataclass
class Record:
    """
    One run of all benchmarks.

    @ivar machine: see L{machine}.
    @ivar versions: of those who were measured.
    @ivar missing: who was not installed.
    @ivar sheets: what was measured, by the names of the scenarios.
    @ivar figures: what was wanted of us, and how it is.
    """

    machine: dict[str, Any]
    versions: dict[str, str]
    missing: list[str] = field(default_factory=list)
    sheets: dict[str, Sheet] = field(default_factory=dict)
    figures: list[Figure] = field(default_factory=list)

    def add(self, sheets: Sequence[Sheet]) -> None:
        """
        Take what a scenario has shown.
        """
        self.sheets.update({sheet.name: sheet for sheet in sheets})

    def toJson(self) -> dict[str, Any]:
        """
        All of it.
        """
        return {
            "format": FORMAT,
            "machine": self.machine,
            "versions": self.versions,
            "not installed": self.missing,
            "goals": [vars(figure) for figure in self.figures],
            "scenarios": {name: sheet.toJson() for name, sheet in self.sheets.items()},
        }

    @classmethod
    def fromJson(cls, told: Mapping[str, Any]) -> Record:
        """
        What was made by L{toJson}.

        @raise ValueError: it has another format.
        """
        if told.get("format") != FORMAT:
            raise ValueError(f"format {told.get('format')!r}: expected {FORMAT}")
        sheets = {name: Sheet.fromJson(name, each) for name, each in told["scenarios"].items()}
        figures = [Figure(**each) for each in told["goals"]]
        return cls(told["machine"], told["versions"], told["not installed"], sheets, figures)

    def save(self, path: Path) -> None:
        """
        Write it to a file.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps(self.toJson(), indent=1)
        # Numbers side by side: a file for people, too.
        path.write_text(re.sub(r"\[[\s\d.,-]+\]", _inOneLine, text) + "\n")

    @classmethod
    def load(cls, path: Path) -> Record:
        """
        Read it from a file.

        @raise ValueError: it is none, or of another format.
        """
        return cls.fromJson(json.loads(path.read_text()))


def _inOneLine(found: re.Match[str]) -> str:
    return "[" + ", ".join(re.findall(r"[\d.-]+", found[0])) + "]"
