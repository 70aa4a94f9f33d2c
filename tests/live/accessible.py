"""
What people who do not see a page, or not well, would miss in it.
"""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from unittest import SkipTest

from tests.live.devtools import Page

#: What must have a name, by the roles that a browser tells to a screen reader.
NAMED = {
    *("button", "textbox", "spinbutton", "combobox", "link", "image", "table", "region"),
    *("dialog", "columnheader", "rowheader", "heading"),
}

#: The contrast of every text with what is behind it (WCAG 2.2, 1.4.3), as
#: C{[text, contrast, wanted]}.  Texts in a drawing lie on the ground of the drawing.
CONTRASTS = """
(() => {
    const parse = colour => (colour.match(/[\\d.]+/g) ?? []).map(Number);
    const light = colour => {
        const [red, green, blue] = parse(colour).map(each => each / 255).map(
            each => each <= 0.04045 ? each / 12.92 : ((each + 0.055) / 1.055) ** 2.4);
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
    };
    const ground = node => {
        for (let each = node; each; each = each.parentElement) {
            const colour = getComputedStyle(each).backgroundColor;
            if ((parse(colour)[3] ?? 1) === 1) return colour;
        }
        return "rgb(255, 255, 255)";
    };
    const found = [];
    for (const node of document.querySelectorAll("body *")) {
        const text = [...node.childNodes].filter(each => each.nodeType === 3)
            .map(each => each.textContent.trim()).join("");
        const box = node.getBoundingClientRect(), style = getComputedStyle(node);
        if (!text || box.width < 2 || style.visibility !== "visible") continue;
        const [low, high] = [node instanceof SVGElement ? style.fill : style.color, ground(node)]
            .map(light).sort((one, other) => one - other);
        const size = parseFloat(style.fontSize), heavy = Number(style.fontWeight) >= 700;
        const wanted = size >= 24 || (heavy && size >= 18.66) ? 3 : 4.5;
        found.push([text.slice(0, 60), (high + 0.05) / (low + 0.05), wanted]);
    }
    return found;
})()
"""

#: What else is amiss.
STRUCTURE = """
(() => {
    const faults = [], all = selector => [...document.querySelectorAll(selector)];
    const isThere = node => node.checkVisibility();
    if (document.documentElement.lang !== "en") faults.push("no language");
    if (!document.title) faults.push("no title");
    for (const name of ["main", "header", "h1"]) {
        if (all(name).filter(isThere).length !== 1) faults.push(`not one ${name}`);
    }
    for (const table of all("table").filter(isThere)) {
        if (!table.caption?.textContent.trim()) faults.push("a table without a caption");
        const heads = [...table.querySelectorAll("th")];
        if (!heads.length || heads.some(head => !head.scope)) faults.push("a header of nothing");
    }
    for (const node of all("[tabindex]")) {
        if (node.tabIndex > 0) faults.push("an order of its own");
    }
    const ids = all("[id]").map(node => node.id);
    if (new Set(ids).size !== ids.length) faults.push("an id that is there twice");
    return faults;
})()
"""

#: Runs axe-core, and tells what it has found.
AXE = """
axe.run(document, {resultTypes: ["violations"]}).then(found => found.violations.map(
    each => [each.impact, each.id, each.nodes.map(node => node.html.slice(0, 200))]))
"""


def faults(page: Page) -> list[Any]:
    """
    @return: what is wrong with a page as it is shown now, by what can be computed from it.
    """
    found = list(page.tell(STRUCTURE))
    for text, contrast, wanted in page.tell(CONTRASTS):
        if contrast < wanted:
            found.append(f"{text!r} has a contrast of {contrast:.2f}, not {wanted}")
    page.call("Accessibility.enable")
    for node in page.call("Accessibility.getFullAXTree")["nodes"]:
        role = node.get("role", {}).get("value")
        if not node["ignored"] and role in NAMED and not node.get("name", {}).get("value"):
            found.append(f"a {role} without a name")
    return found


def axe() -> str:
    """
    @return: axe-core, as a script.
    @raise SkipTest: it is not installed.
    @raise AssertionError: it is not installed, and should be: C{CI} is set.
    """
    spec = find_spec("axe_core_python")
    if spec is None or spec.origin is None:
        missing = "axe-core is not installed (Python package axe-core-python)"
        if os.environ.get("CI"):
            raise AssertionError(missing)
        raise SkipTest(missing)
    return Path(spec.origin).with_name("axe.min.js").read_text()


def axeFaults(page: Page, script: str) -> list[Any]:
    """
    @param script: what L{axe} returns.
    @return: what axe-core finds wrong with a page as it is shown now, of whatever impact.
    """
    page.tell(f"{script}; 0")
    return list(page.tell(AXE))
