"""
Sphinx: the prose.  The API pages beside it are pydoctor's.
"""

from importlib.metadata import version as installedVersion

project = "terminable"
author = "the terminable authors"
copyright = "2026, the terminable authors"
version = release = installedVersion("txterminable")

# The inventory is the one pydoctor has just written: nothing is fetched.
extensions = ["sphinx.ext.intersphinx"]
intersphinx_mapping = {"terminable": ("api", "_build/html/api/objects.inv")}

exclude_patterns = ["_build", "news"]
default_role = "any"
html_theme = "alabaster"
html_theme_options = {"description": "Any Twisted server ends politely, or at once"}
