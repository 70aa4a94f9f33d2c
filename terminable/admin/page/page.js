/*
 * The status page: shows what /events and /connections tell, and posts what its buttons mean.
 * Nothing comes from anywhere else, and whatever the server tells is set as text, never as markup:
 * a request may spell anything.  Points in time are seconds on the server's clock.
 */
import { amount, byId, cell, duration, fill, make, say } from "./words.js";

/** Milliseconds: until an answer must begin; without a word on a stream (one comes each 5 s);
 *  until the server is tried again; between two looks at its connections. */
const PATIENCE = 10_000, SILENCE = 15_000, AGAIN = [500, 1000, 2000, 5000], LOOK = 1000;
/** How many connections are shown, and counts remembered; what the token is called in the tab. */
const ROWS = 50, SAMPLES = 900, TOKEN = "terminable.token";
const ORDER = ["serving", "quiescing", "draining", "aborting", "terminated"];
const STOPPING = ORDER.slice(1, 4), KINDS = ["busy", "idle", "waiting"];
/** Of the plot, in pixels: its height, and what is around its curves. */
const HEIGHT = 250, LEFT = 40, TOP = 24, RIGHT = 8, BOTTOM = 22;

/** What is known of the server; its clock is ahead of ours by `offset`. */
const seen = { status: null, samples: [], phases: [], idleOver: 0, offset: 0, gone: false };
const rows = new Map();
let token = null, tries = 0;

// -- times and words
const now = () => Date.now() / 1000 + seen.offset;
const clock = at => new Date((at - seen.offset) * 1000).toLocaleTimeString([], { hour12: false });

const askNothing = () => document.querySelectorAll("dialog[open]").forEach(each => each.close());
const notice = text => { say("noticeText", text); byId("notice").hidden = !text; };

// -- asking the server
/** The response to a request; `limit` aborts it, also while its body comes. */
async function ask(path, options = {}, limit = new AbortController()) {
  const headers = { "X-Terminable": "1", ...options.headers };
  if (token !== null) headers.Authorization = `Bearer ${token}`;
  const late = setTimeout(() => limit.abort(), PATIENCE);
  const answer = await fetch(path, { ...options, headers, signal: limit.signal, cache: "no-store" })
    .finally(() => clearTimeout(late));
  if (answer.ok) return answer;
  const { error } = await answer.json().catch(() => ({}));
  const words = error ?? `${answer.status} ${answer.statusText}`;
  throw Object.assign(new Error(words), { status: answer.status });
}

const get = async path => (await ask(path)).json();
const pause = milliseconds => new Promise(resolve => { setTimeout(resolve, milliseconds); });
const again = async step => { for (;;) await step(); };

/** Show what the stream of events tells, until it is over. */
async function follow() {
  const limit = new AbortController(), { body } = await ask("events", {}, limit);
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  for (let text = ""; ;) {
    const silence = setTimeout(() => limit.abort(), SILENCE);
    const { value, done } = await reader.read().finally(() => clearTimeout(silence));
    if (done) return;
    const events = (text + value).split("\n\n");
    text = events.pop();
    for (const event of events) {
      const told = Object.fromEntries(event.split("\n").map(line => line.split(/: ?(.*)/s, 2)));
      if (told.event === "status") show(JSON.parse(told.data));
    }
    // A successor has the door, and is to be seen there: whatever is pressed goes to it.
    if (seen.status?.upgrade === "done") return limit.abort();
  }
}

/** The stream has broken, or could not be had. */
async function lost({ status, message }) {
  if (status === 401) {
    await askForToken();
  } else if (status === 503) {
    await get("status").then(show, () => {});
    notice("Too many pages follow the server: this one looks every few seconds.");
    await pause(AGAIN[2]);
  } else if (status) {
    notice(message);
  } else if (seen.gone || ORDER.slice(1).includes(seen.status?.phase)) {
    if (!seen.gone) say("announcement", "The server has gone.");
    seen.gone = true;
    showRows({ total: 0, connections: [] });
    showAll();
  } else {
    const last = seen.status ? ` What you see is from ${clock(seen.samples.at(-1).at)}.` : "";
    notice(`The server cannot be reached; trying again.${last}`);
  }
}

/** Return when the reader has entered a token. */
async function askForToken() {
  const form = byId("token"), input = form.elements.token;
  say("tokenWords", token === null ? "" : "That token is not accepted.");
  askNothing();
  form.hidden = false;
  input.focus();
  await new Promise(resolve => { form.addEventListener("submit", resolve, { once: true }); });
  token = input.value;
  try { sessionStorage.setItem(TOKEN, token); } catch { /* This browser keeps nothing. */ }
  form.reset();
  form.hidden = true;
}

// -- showing how it stands
function show(status) {
  const before = seen.status, last = seen.samples.at(-1);
  if (tries) notice("");
  if (before && (status.pid !== before.pid || status.uptime < before.uptime)) {
    Object.assign(seen, { samples: [], phases: [], idleOver: 0, offset: 0 });
    // What is shown, or about to be confirmed, was about the connections of the one before.
    showRows({ total: 0, connections: [] });
    askNothing();
    say("announcement", `Another process is there: ${status.pid}, ${status.phase}.`);
  } else if (before && (status.phase !== before.phase || (status.left < 10 && before.left >= 10))) {
    const left = status.left === null ? "" : `, ${duration(status.left)} left`;
    say("announcement", `${status.phase}: ${status.busy} busy, ${status.idle} idle${left}`);
  }
  if (status.deadline !== null) seen.offset = status.deadline - status.left - Date.now() / 1000;
  if (status.phase === "draining") seen.idleOver = status.since + status.idleGrace;
  if (seen.phases.at(-1)?.phase !== status.phase) {
    if (status.phase === "serving") Object.assign(seen, { phases: [], idleOver: 0 });
    seen.phases.push({ phase: status.phase, at: status.since });
  }
  // One moment is one point, however much is told of it.
  if (last && now() - last.at < 0.25 && last.phase === status.phase) seen.samples.pop();
  const { busy, idle } = status.counting && last ? last : status;
  seen.samples.push({ ...status, busy, idle, at: now() });
  // What is long ago is remembered in less detail.
  if (seen.samples.length > SAMPLES) seen.samples = seen.samples.filter((_, place) => place % 2);
  Object.assign(seen, { status, gone: false });
  tries = 0;
  showAll();
}

function showAll() {
  const { status, gone } = seen, { report } = status, phase = gone ? "gone" : status.phase;
  const stopping = STOPPING.includes(phase), focus = document.activeElement;
  document.title = `${phase}${gone ? "" : `: ${status.busy} busy`} – ${status.name}`;
  say("name", status.name);
  say("phase", phase);
  byId("phase").dataset.phase = phase;
  for (const kind of KINDS) say(kind, gone ? 0 : status[kind]);
  // In the first moments of a stop, busy ones are still found among the others.
  if (status.counting && !gone) ["busy", "idle"].forEach(kind => say(kind, "…"));
  const left = status.left === null ? "no limit" : duration(status.left);
  say("leftName", stopping ? "Time left" : report ? "The stop took" : "Up for");
  say("left", stopping ? left : duration(report ? report.seconds : status.uptime));
  for (const button of document.querySelectorAll("[data-when]")) {
    button.setAttribute("aria-disabled", !button.dataset.when.split(" ").includes(phase));
  }
  // Single connections are drained only while the server goes on.
  byId("rowsTable").classList.toggle("still", !["serving", "suspended"].includes(phase));
  if (focus.closest(".still .ends")) byId("rowsTable").focus();
  showSteps(status, phase);
  showPlot(status);
  showDetails(status);
  showReport(status);
}

function showSteps(status, phase) {
  const place = seen.gone ? 4 : Math.max(0, ORDER.indexOf(phase));
  for (const [number, step] of [...byId("steps").children].entries()) {
    step.classList.toggle("over", number < place);
    step.setAttribute("aria-current", number === place ? "step" : "false");
    say(step.lastElementChild, stepWords(ORDER[number], number - place, status));
  }
  say("first", place || phase === "serving" ? "Serving" : phase);
}

/** What is said of a phase; `way` is below 0 if it is over, and above 0 if it may come. */
function stepWords(phase, way, { since, left, report }) {
  const place = seen.phases.findLastIndex(each => each.phase === phase);
  const [was, next] = place < 0 ? [] : seen.phases.slice(place, place + 2);
  if (way < 0) return next ? duration(next.at - was.at) : "over";
  if (way > 0) return phase === "aborting" && left ? `if at all, in ${duration(left)}` : "";
  if (phase === "terminated") return report ? `after ${duration(report.seconds)}` : "";
  const grace = phase === "draining" ? seen.idleOver - now() : 0;
  return `since ${clock(since)}${grace > 0 ? `; idle ones have ${duration(grace)}` : ""}`;
}

/** Which times the plot is of, and from which of them they are counted. */
function frame({ deadline, report }) {
  const stop = seen.phases.find(each => STOPPING.includes(each.phase));
  if (!stop) {
    const from = Math.min(now() - 60, Math.max(seen.samples[0].at, now() - 300));
    return { from, to: now(), origin: now() };
  }
  const from = stop.at, ahead = Math.min(from + 60, deadline ?? Infinity);
  return { from, to: report ? from + report.seconds : Math.max(now(), ahead), origin: from };
}

/** The distance of the lines of a grid that is to have at most `many` spaces. */
function gridStep(range, many) {
  const power = 10 ** Math.floor(Math.log10(range / many));
  return [1, 2, 5, 10].map(each => each * power).find(each => each * many >= range);
}

function showPlot(status) {
  const svg = byId("plot"), width = svg.clientWidth, { from, to, origin } = frame(status);
  const parts = [], put = (...what) => parts.push(make(...what));
  const shown = seen.samples.filter(each => each.at >= from - 5 && each.at <= to + 1);
  const highest = Math.max(4, ...shown.flatMap(each => KINDS.map(kind => each[kind])));
  const up = gridStep(highest, 4), most = Math.ceil(highest / up) * up;
  const on = Math.max(1, gridStep(to - from, Math.max(2, Math.floor(width / 110))));
  const part = at => Math.min(1, Math.max(0, (at - from) / (to - from || 1)));
  const x = at => LEFT + (width - LEFT - RIGHT) * part(at);
  const y = number => HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (number / most);
  const line = (kind, x1, y1, x2, y2) => put("line", { class: kind, x1, y1, x2, y2 });
  const label = (text, x, y, anchor) => put("text", { x, y, "text-anchor": anchor }, text);
  for (const [number, { phase, at }] of seen.phases.entries()) {
    const start = x(at), long = x(seen.phases[number + 1]?.at ?? now()) - start;
    if (!STOPPING.includes(phase) || long <= 0) continue;
    put("rect", { class: `band ${phase}`, x: start, y: 0, width: long, height: 18 });
    if (long > 70) label(phase, start + 6, 13, "start");
  }
  for (let number = 0; number <= most; number += up) {
    line("grid", LEFT, y(number), width - RIGHT, y(number));
    label(number, LEFT - 6, y(number) + 4, "end");
  }
  for (let at = Math.ceil((from - origin) / on) * on; at <= to - origin; at += on) {
    const text = `${at < 0 ? "−" : ""}${duration(Math.abs(at)).replace(".0 s", " s")}`;
    const place = x(origin + at), anchor = place > width - 30 ? "end" : "middle";
    label(at || origin === from ? text : "now", place, HEIGHT - 6, anchor);
  }
  for (const kind of KINDS) {
    const points = shown.map(each => `${x(each.at)},${y(each[kind])}`).join(" ");
    put("polyline", { class: `curve ${kind}`, points });
  }
  for (const [kind, at] of [["edge", seen.idleOver], ["deadline", status.deadline]]) {
    if (at && at <= to) line(kind, x(at), TOP, x(at), y(0));
  }
  svg.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
  svg.replaceChildren(...parts);
  const peak = Math.max(...shown.map(each => each.busy)), left = status.left;
  const deadline = left ? ` The upright dashed line is the deadline, in ${duration(left)}.` : "";
  say("plotWords", `Busy: ${status.busy} now, ${peak} at most since ${clock(from)}.${deadline}`);
  fill(byId("samples"), shown.slice(-10).reverse().map(each => make("tr", {},
    make("th", { scope: "row" }, clock(each.at)), cell("", each.phase),
    ...KINDS.map(kind => cell("number", each[kind])))));
}

function showDetails({ pid, version, ports, longestTurn, throttle, generations, upgrade }) {
  const { held, refused, disconnected } = throttle;
  say("pid", `${pid}, terminable ${version}`);
  say("ports", ports.join(", ") || "none is open");
  say("longestTurn", `${Math.round(longestTurn * 1000)} ms`);
  say("throttle", `${held} held, ${refused} refused, ${disconnected} cut`);
  const old = generations.map(each => `${each.phase}: ${each.busy} busy, ${each.idle} idle`);
  say("generations", old.join("; ") || "none");
  say("upgrade", upgrade ?? "none");
}

function showReport({ pid, report }) {
  byId("gone").hidden = !seen.gone;
  // What a process has come to stays to be read when the next one is there.
  if (!report && !seen.gone) return;
  const { finished, idle, left, aborted, seconds, opened, entries = [] } = report ?? {};
  byId("report").hidden = false;
  byId("report").toggleAttribute("data-aborted", !report?.graceful);
  say("reportHeading", `What the stop of process ${pid} came to`);
  say("reportWords", !report ? "It went before its report came to this page." :
    `${finished} finished, ${idle} idle, ${left} left, ${aborted} aborted after ` +
    `${duration(seconds)}; ${opened} connections in all.`);
  byId("entriesTable").hidden = !entries.length;
  fill(byId("entries"), entries.map(each => make("tr", {}, doing(each), cell("", each.outcome),
    cell("number", duration(each.age)))));
}

// -- connections
/** What a connection is about, as the first cell of its row. */
function doing({ doing: what, state, protocol, peer, streams = [], told }) {
  const others = streams.map(each => each.doing).filter(each => each && each !== what);
  const few = others.slice(0, 3).join(", ") + (others.length > 3 ? ", and more" : "");
  const notes = [["peer", peer], ["streams", few && `streams: ${few}`],
    ["told", told === true ? "asked to end" : told && `told ${told}`]].filter(([, note]) => note);
  return make("th", { scope: "row" }, make("code", {}, what || `${state} ${protocol}`),
    ...notes.map(([kind, note]) => make("small", { class: kind }, note)));
}

function rowOf(each) {
  const times = [each.lastReceived, each.lastSent, each.age].filter(time => time !== null);
  const what = `${each.doing || each.protocol} from ${each.peer}`;
  const button = make("button", { type: "button", "aria-label": `End ${what}` }, "End…");
  Object.assign(button.dataset, { dialog: "endDialog", id: each.id, what });
  return [doing(each), cell("wide", each.peer), cell("wide", each.protocol),
    cell("number", duration(each.age)), cell("number", duration(Math.min(...times))),
    cell("number wide", amount(each.received)), cell("number wide", amount(each.sent)),
    cell("number medium", amount(each.unsent)), cell("ends", button)];
}

/** A connection keeps its row, so that nobody presses a button that was another one before. */
function showRows({ total, connections }) {
  const body = byId("rows"), there = new Set(connections.map(each => each.id));
  for (const [id, row] of rows) {
    if (there.has(id)) continue;
    if (row.contains(document.activeElement)) byId("rowsTable").focus();
    row.remove();
    rows.delete(id);
  }
  for (const [place, each] of connections.entries()) {
    const row = rows.get(each.id) ?? make("tr");
    rows.set(each.id, row);
    fill(row, rowOf(each));
    if (body.children[place] !== row) body.insertBefore(row, body.children[place]);
  }
  const which = byId("state").value || "live", shown = connections.length;
  byId("rowsTable").classList.toggle("bare", !shown);
  say("rowsCaption", total ? `${shown} of ${total} that are ${which}` : `None is ${which} now`);
}

async function look() {
  if (document.hidden || !seen.status || seen.gone) return;
  const state = byId("state").value, sort = byId("sort").value, { pid } = seen.status;
  const query = new URLSearchParams({ limit: ROWS, sort, ...(state && { state }) });
  const found = await get(`connections?${query}`);
  if (state === byId("state").value && pid === seen.status.pid && !seen.gone) showRows(found);
}

// -- actions
function openDialog({ dialog, id, what }) {
  const form = byId(dialog).querySelector("form"), { busy, idle } = seen.status;
  form.reset();
  // Should another process answer by then, it is left alone.
  form.dataset.pid = seen.status.pid;
  say(form.querySelector(".refusal"), "");
  say("abortWords", `Now ${busy} are busy and ${idle} are idle.`);
  if (id) form.elements.ids.value = id;
  if (id) say("endWhat", what);
  byId(dialog).showModal();
}

async function send(form) {
  const fields = [...form.elements].filter(each => each.name && each.value !== "");
  const special = { number: each => each.valueAsNumber, hidden: each => [each.value] };
  const values = fields.map(each => [each.name, special[each.type]?.(each) ?? each.value]);
  const body = JSON.stringify({ ...Object.fromEntries(values), pid: Number(form.dataset.pid) });
  const headers = { "Content-Type": "application/json" };
  try {
    await ask(form.dataset.path, { method: "POST", body, headers });
    form.closest("dialog").close();
    say("announcement", form.dataset.done);
  } catch ({ status, message }) {
    say(form.querySelector(".refusal"), status ? message : "The server cannot be reached.");
  }
}

function press(button) {
  if (button.getAttribute("aria-disabled") === "true") {
    notice(`${button.textContent} This is not possible now: ${byId("phase").textContent}.`);
  } else if (button.dataset.dialog) {
    openDialog(button.dataset);
  } else if ("away" in button.dataset) {
    button.closest("dialog").close();
  }
}

for (const form of document.querySelectorAll("dialog form")) {
  form.append(make("p", { class: "refusal", role: "alert" }), make("div", { class: "buttons" },
    make("button", { type: "button", "data-away": "" }, "Cancel"),
    make("button", { class: form.dataset.kind }, form.dataset.act)));
}
document.addEventListener("submit", event => {
  event.preventDefault();
  if (event.target.dataset.path) send(event.target);
});
document.addEventListener("click", ({ target }) => {
  if (target.closest("button")) press(target.closest("button"));
});
byId("noticeAway").addEventListener("click", () => notice(""));
for (const id of ["state", "sort"]) byId(id).onchange = () => look().catch(() => {});
new ResizeObserver(() => seen.status && showPlot(seen.status)).observe(byId("plot"));
try { token = sessionStorage.getItem(TOKEN); } catch { /* This browser keeps nothing. */ }
again(() => follow().catch(lost).then(() => pause(AGAIN[Math.min(tries++, 3)])));
// What is wrong is said by whoever follows the events.
again(() => look().catch(() => {}).then(() => pause(LOOK)));
