"""
Sphinx: the prose.  The API pages beside it are pydoctor's.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import terminable  # noqa: E402

project = "terminable"
author = "the terminable authors"
copyright = "2026, the terminable authors"
version = release = terminable.__version__


def _inventory() -> str:
    """
    The names that the prose may refer to, as pydoctor has just written them, or as
    it writes them now: nothing is fetched.
    """
    written = HERE / "_build" / "html" / "api" / "objects.inv"
    if not written.exists():
        written = Path(tempfile.mkdtemp()) / "objects.inv"
        command = [sys.executable, "-m", "pydoctor", "-q", "--make-intersphinx"]
        subprocess.run([*command, f"--html-output={written.parent}"], cwd=HERE.parent, check=True)
    return str(written)


extensions = ["sphinx.ext.intersphinx", "docs.phasetable"]
intersphinx_mapping = {"terminable": ("api", _inventory())}

exclude_patterns = ["_build", "news"]
default_role = "any"
html_theme = "alabaster"
html_theme_options = {"description": "Any Twisted server ends politely, or at once"}
