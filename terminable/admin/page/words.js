/*
 * Numbers as people read them, and nodes of the page.  Whatever the server tells becomes text, never
 * markup.
 */

export const byId = id => document.getElementById(id);
export const cell = (kind, text) => make("td", { class: kind }, text);

/** A length of time, for people. */
export function duration(seconds) {
  if (seconds < 9.95) return `${Math.max(0, seconds).toFixed(1)} s`;
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  return seconds < 172800 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86400)} d`;
}

/** A number of bytes, for people; null is one that the server does not know. */
export function amount(bytes) {
  if (bytes === null) return "–";
  const power = bytes < 1000 ? 0 : Math.min(4, Math.floor(Math.log10(bytes) / 3));
  return `${+(bytes / 1000 ** power).toPrecision(3)} ${["B", "kB", "MB", "GB", "TB"][power]}`;
}

/** A new node. */
export function make(tag, attributes = {}, ...children) {
  const kind = ["line", "rect", "text", "polyline"].includes(tag) ? "2000/svg" : "1999/xhtml";
  const node = document.createElementNS(`http://www.w3.org/${kind}`, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

/** Give a node these children; those that it has stay, and what is selected in them. */
export function fill(node, children) {
  for (const [place, child] of children.entries()) {
    const old = node.children[place];
    if (!old?.isEqualNode(child)) old ? old.replaceWith(child) : node.append(child);
  }
  while (node.children.length > children.length) node.lastElementChild.remove();
}

/** Set the text of a node, or of that which has this id. */
export function say(where, text) {
  const node = byId(where) ?? where;
  if (node.textContent !== `${text}`) node.textContent = text;
}
