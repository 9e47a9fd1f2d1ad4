// The list of changes. What has to be known before anything is applied stands in the page without this script.
// Data is only ever text: elements are made by `make`, and nothing is ever parsed as HTML.
"use strict";

const byId = (id) => document.getElementById(id);
/** Data is parsed once; its text would only take memory. */
const take = (element) => {
  const data = JSON.parse(element.textContent);
  element.remove();
  return data;
};
const { words, order, actions, kinds, fields, files, head, undeclared } = take(byId("page"));
const changes = [...document.querySelectorAll("script.changes")].flatMap(take).map(toChange);
/** Values that many changes share: there, a field change is a number, its place in here. */
const values = take(byId("values"));

const [DEFAULT, SERVER, HIDDEN] = [1, 2, 4];
/** Changes that stand or fall together as the reader scrolls. */
const CHUNK = 50;
/** What overwrites is to be read; what is added or lost is mostly known by its name. */
const UNFOLDED = new Set(["blocked", "overwrite", "rename"]);
const PRINTED = 2_000;
/** Lines around a change in a text. */
const CONTEXT = 3;

function toChange([action, kind, key, file, line, fields, effect = 0, marks = {}]) {
  return {
    action: actions[action],
    kind: kinds[kind],
    key,
    user: kinds[kind] === "server" ? "" : key[0],
    file: file < 0 ? "" : files[file],
    line, fields, effect, marks,
    /** Unfolded or not by the reader. */
    open: undefined,
    /** What is searched of it, once it is. */
    text: undefined,
  };
}

/** As yubin writes it: a part of the key cannot end the part, or the line. */
function addressOf({ kind, key }) {
  return `${kind}/${key.map((part) => part.replace(/[/%\x00-\x1f\x7f-\x9f]/g, encodeURIComponent)).join("/")}`;
}

// ---- Elements

function make(name, properties = {}, ...children) {
  const element = Object.assign(document.createElement(name), properties);
  element.append(...children);
  return element;
}

const number = (count) => count.toLocaleString(document.documentElement.lang);
/** Puts things where the words have `{}`, in turn. */
const say = (sentence, ...things) => sentence.replace(/\{\}/g, () => things.shift());

/** A text of others: what is invisible or turns the line around is shown as its number. */
function harmless(text) {
  const odd = /[\p{Cc}\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/gu;
  const parts = [];
  let end = 0;
  for (const { 0: found, index } of text.matchAll(odd)) {
    const code = found.codePointAt(0).toString(16).toUpperCase().padStart(4, "0");
    parts.push(text.slice(end, index), make("span", { className: "odd" }, `U+${code}`));
    end = index + found.length;
  }
  return [...parts, text.slice(end)];
}

const isNone = (value) => value === null || value === undefined;
/** A value as the text that is searched, and shown where it is one line. */
const plain = (value) => (Array.isArray(value) ? value.join(", ") : String(value));

function shown(value) {
  if (isNone(value)) return [make("span", { className: "faint" }, words.none)];
  return value === "" ? ['""'] : harmless(plain(value));
}

// ---- One change

const driftOf = new Map();
for (const { address, field } of head.drift ?? []) driftOf.set(address, [...(driftOf.get(address) ?? []), field]);

const isOpen = (change) => change.open ?? everything ?? UNFOLDED.has(change.action);
/** Whether all changes are unfolded or folded, if the reader has said so. */
let everything;

function article(change, at, found) {
  const { action, file, line, marks, effect } = change;
  const address = addressOf(change);
  const summary = make("summary", {},
    make("span", { className: "action" }, words.actions[action]?.name ?? action),
    make("code", { className: "address" }, ...harmless(address)));
  const tag = (text, kind = "") => summary.append(make("span", { className: `tag ${kind}` }, text));
  if (marks.adopted) tag(words.adopted);
  if (marks.restored) tag(words.restored);
  if (marks.previously) tag(say(words.previously, marks.previously));
  if (marks.followers) tag(say(words.followers, number(marks.followers)));
  if (marks.purge_after) tag(say(words.purge_after, marks.purge_after));
  if (driftOf.has(address)) tag(words.drifted);
  if (effect === 1) tag(words.logs_out);
  if (effect === 2) tag(words.mail_of_it, "lost");
  if (effect === 3) tag(words.kicked);
  const declared = file ? `${file}:${line}` : undeclared ? words.undeclared : "";
  summary.append(make("span", { className: "source" }, ...harmless(declared)));

  const details = make("details", { open: isOpen(change) }, summary);
  const fill = () => details.childElementCount > 1 || details.append(...body(change));
  if (details.open) fill();
  details.addEventListener("toggle", () => details.open && fill());
  summary.addEventListener("click", () => (change.open = !details.open));
  const element = make("article", { className: action }, details);
  element.setAttribute("aria-label", `${words.actions[action]?.name ?? action} ${address}`);
  element.setAttribute("aria-posinset", at + 1);
  element.setAttribute("aria-setsize", found.length);
  return element;
}

function body(change) {
  const { action, marks } = change;
  const note = (text) => make("p", { className: "note" }, ...harmless(text));
  const rows = change.fields.map((field) => row(action, typeof field === "number" ? values[field] : field));
  const parts = [];
  if (marks.reason) parts.push(note(marks.reason));
  if (action === "skip") parts.push(note(words.left_alone));
  if (rows.length === 0) return parts;
  const columns = sides(action).length === 1 ? [words.value] : [words.before, words.after];
  const titles = [words.field, ...columns].map((title) => make("th", { scope: "col" }, title));
  return [...parts, make("table", { className: "fields" }, make("thead", {}, make("tr", {}, ...titles)), make("tbody", {}, ...rows))];
}

/** Of what is added or lost there is only one side. */
function sides(action) {
  if (action === "add") return ["after"];
  return action === "delete" || action === "purge" ? ["before"] : ["before", "after"];
}

function row(action, [id, before, after, flags = 0, set]) {
  const [name, label, secret] = fields[id];
  const code = make("code", {}, name);
  const title = words.labels ? [`${label} (`, code, ")"] : [code];
  const asides = [];
  if (flags & DEFAULT) asides.push(words.default);
  if (flags & SERVER) asides.push(words.from_server);
  if (flags & HIDDEN) asides.push(words.unobservable);
  if (set) asides.push(say(words.last_set, set[0], set[1].split("T")[0]));
  const aside = () => asides.map((text) => make("span", { className: "aside" }, text));
  const cells = [];
  const both = sides(action);
  if (secret) {
    const lost = both[0] === "before" && both.length === 1;
    const word = `(${words.secret}) ${words.secrets[lost ? "lost" : after]}`;
    cells.push(make("td", { colSpan: both.length }, make("span", { className: "faint" }, word), ...aside()));
  } else if ([before, after].some((value) => lines(value).length > 1)) {
    const table = diff(lines(before), lines(after));
    cells.push(make("td", { colSpan: both.length }, table, ...aside()));
  } else if (both.length === 1) {
    cells.push(make("td", {}, ...shown(both[0] === "after" ? after : before), ...aside()));
  } else {
    cells.push(make("td", {}, make("del", {}, ...shown(before))), make("td", {}, make("ins", {}, ...shown(after)), ...aside()));
  }
  return make("tr", {}, make("th", { scope: "row" }, ...title), ...cells);
}

// ---- Side by side

function lines(value) {
  if (isNone(value)) return [];
  const all = Array.isArray(value) ? value : String(value).split("\n");
  // The end of the last line begins no other.
  return all.length > 1 && all.at(-1) === "" ? all.slice(0, -1) : all;
}

/** Pairs of lines `[before, after]`, by their numbers, as the longest common subsequence has them. */
function pairs(before, after) {
  let start = 0;
  while (start < before.length && start < after.length && before[start] === after[start]) start++;
  let end = 0;
  const left = Math.min(before.length, after.length) - start;
  while (end < left && before.at(-1 - end) === after.at(-1 - end)) end++;
  const [rows, columns] = [before.length - start - end, after.length - start - end];
  const same = [];
  for (let at = 0; at < start; at++) same.push([at, at]);
  // Beyond this, what differs stands as a whole: a table would take longer than a reader waits.
  if (rows * columns <= 4_000_000) {
    const width = columns + 1;
    const length = new Uint32Array((rows + 1) * width);
    for (let i = rows - 1; i >= 0; i--) {
      for (let j = columns - 1; j >= 0; j--) {
        const here = i * width + j;
        length[here] = before[start + i] === after[start + j]
          ? length[here + width + 1] + 1
          : Math.max(length[here + width], length[here + 1]);
      }
    }
    for (let i = 0, j = 0; i < rows && j < columns;) {
      const here = i * width + j;
      if (before[start + i] === after[start + j]) same.push([start + i++, start + j++]);
      else if (length[here + width] >= length[here + 1]) i++;
      else j++;
    }
  }
  for (let at = end; at > 0; at--) same.push([before.length - at, after.length - at]);

  const all = [];
  let [i, j] = [0, 0];
  for (const [nextI, nextJ] of [...same, [before.length, after.length]]) {
    while (i < nextI || j < nextJ) all.push([i < nextI ? i++ : undefined, j < nextJ ? j++ : undefined]);
    if (nextI < before.length) all.push([i++, j++, true]);
  }
  return all;
}

/** The text with the part marked in which it differs from the other. */
function marked(text, other) {
  if (other === undefined) return harmless(text);
  const [here, there] = [[...text], [...other]];
  let start = 0;
  while (start < here.length && here[start] === there[start]) start++;
  let end = 0;
  while (end < Math.min(here.length, there.length) - start && here.at(-1 - end) === there.at(-1 - end)) end++;
  // Two texts that share little are two texts, and what is only in the other is marked there.
  if (start + end < here.length / 3 || start + end === here.length) return harmless(text);
  const part = (from, to) => harmless(here.slice(from, to).join(""));
  const middle = here.length - end;
  return [...part(0, start), make("mark", {}, ...part(start, middle)), ...part(middle)];
}

function diff(before, after) {
  const all = pairs(before, after);
  const kept = new Uint8Array(all.length);
  all.forEach(([, , same], at) => same || kept.fill(1, Math.max(0, at - CONTEXT), at + CONTEXT + 1));
  const side = (text, at, other, same, kind) => {
    if (at === undefined) return [make("td", { className: "number" }), make("td")];
    const content = same ? harmless(text) : [make(kind === "minus" ? "del" : "ins", {}, ...marked(text, other))];
    const className = same ? "" : kind;
    return [make("td", { className: `number ${className}` }, String(at + 1)), make("td", { className }, ...content)];
  };
  const rows = [];
  for (let at = 0; at < all.length; at++) {
    let next = at;
    while (next < all.length && !kept[next]) next++;
    // One line takes no more room than the words that it is left out.
    if (next - at > 1) {
      rows.push(make("tr", { className: "gap" }, make("td", { colSpan: 4 }, say(words.same_lines, number(next - at)))));
      at = next - 1;
    } else {
      const [i, j, same] = all[at];
      const [left, right] = [side(before[i], i, after[j], same, "minus"), side(after[j], j, before[i], same, "plus")];
      rows.push(make("tr", {}, ...left, ...right));
    }
  }
  const titles = [words.before, words.after].map((title) => make("th", { colSpan: 2, scope: "col", className: "unseen" }, title));
  const widths = ["number", "", "number", ""].map((className) => make("col", { className }));
  return make("table", { className: "diff" }, make("colgroup", {}, ...widths), make("thead", {}, make("tr", {}, ...titles)), make("tbody", {}, ...rows));
}

// ---- The list: only what is near the viewport is there

const list = byId("list");
const near = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) isIntersecting ? fillChunk(target) : emptyChunk(target);
}, { rootMargin: "1500px 0px" });
/** What each chunk shows. */
const held = new WeakMap();
let found = [];
let counts = {};

function show() {
  near.disconnect();
  const chunks = [];
  for (let start = 0; start < found.length; start += CHUNK) {
    const chunk = make("div", { className: "chunk" });
    held.set(chunk, start);
    chunk.style.height = `${guess(start)}px`;
    chunks.push(chunk);
  }
  list.replaceChildren(...chunks);
  // The reader sees the first ones in this frame, not when the observer comes round to them.
  if (chunks.length > 0) fillChunk(chunks[0]);
  chunks.forEach((chunk) => near.observe(chunk));
}

/** About how high a chunk will be, so that the scroll bar tells the truth. */
function guess(start) {
  return found.slice(start, start + CHUNK).reduce((sum, one) => sum + 50 + (isOpen(one) ? 28 + one.fields.length * 36 : 0), 0);
}

function fillChunk(chunk) {
  if (chunk.hasChildNodes()) return;
  const start = held.get(chunk);
  const articles = found.slice(start, start + CHUNK).map((change, at) => {
    const element = article(change, start + at, found);
    if (change.action !== found[start + at - 1]?.action) element.prepend(heading(change.action));
    return element;
  });
  chunk.style.height = "";
  chunk.append(...articles);
}

function emptyChunk(chunk) {
  // Where the focus is, the reader is.
  if (!chunk.hasChildNodes() || chunk.contains(document.activeElement)) return;
  chunk.style.height = `${chunk.getBoundingClientRect().height}px`;
  chunk.replaceChildren();
}

function heading(action) {
  const count = make("span", { className: "count" }, ` (${number(counts[action])})`);
  return make("h3", {}, words.actions[action]?.title ?? action, count);
}

// ---- Filters

const form = byId("filters");
/** Full-width and half-width letters, large and small ones are the same to who searches. */
const fold = (text) => (/^[\x00-\x7f]*$/.test(text) ? text : text.normalize("NFKC")).toLowerCase();

const textOf = ([id, before, after]) => {
  const [name, label, secret] = fields[id];
  const sides = secret ? [words.secrets[after]] : [before, after].filter((value) => !isNone(value)).map(plain);
  return fold([name, label, ...sides].join("\n"));
};
let valueTexts;
/** All but what it shares with others. */
function textOfChange(change) {
  const own = change.fields.filter((field) => typeof field !== "number").map(textOf);
  return [fold(`${addressOf(change)}\n${change.file}\n${change.marks.previously ?? ""}`), ...own].join("\n");
}

/** What a change must be for all words of a search to be found in it. */
function search(query) {
  valueTexts ??= values.map(textOf);
  const wanted = fold(query).split(/\s+/).filter(Boolean).map((word) => {
    // A value that many changes share is searched once.
    const hits = valueTexts.map((text) => text.includes(word));
    return (change) => change.fields.some((field) => typeof field === "number" && hits[field]) || (change.text ??= textOfChange(change)).includes(word);
  });
  return (change) => wanted.every((has) => has(change));
}

function filter() {
  const data = new FormData(form);
  const [kind, user, file] = ["kind", "user", "file"].map((name) => fold(data.get(name).trim()));
  const chosen = new Set(data.getAll("action"));
  const matches = search(data.get("search"));
  counts = Object.fromEntries(order.map((action) => [action, 0]));
  found = changes.filter((change) => {
    if (kind && change.kind !== kind) return false;
    if (user && !fold(change.user).includes(user)) return false;
    if (file && !fold(change.file).includes(file)) return false;
    if (!matches(change)) return false;
    counts[change.action]++;
    return chosen.size === 0 || chosen.has(change.action);
  });
  for (const chip of document.querySelectorAll(".chip")) {
    chip.querySelector(".count").textContent = number(counts[chip.querySelector("input").value]);
  }
  byId("count").textContent = found.length > 0
    ? say(words.found, number(found.length), number(changes.length))
    : words.none_found;
  show();
}

/** One run a frame, however fast somebody types. */
let waiting = false;
function filterSoon() {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => {
    waiting = false;
    filter();
  });
}

/** Names to choose from as somebody types, a few at a time: there may be many thousands. */
function suggest(input, nameOf) {
  let all;
  const offer = () => {
    all ??= [...new Set(changes.map(nameOf))].filter(Boolean).sort();
    const typed = fold(input.value.trim());
    const some = [];
    for (const name of all) {
      if (fold(name).includes(typed) && some.push(make("option", { value: name })) === 50) break;
    }
    input.list.replaceChildren(...some);
  };
  input.addEventListener("input", offer);
  input.addEventListener("focus", offer);
}

function chips() {
  const there = new Set(changes.map((change) => change.action));
  byId("actions").append(...order.filter((action) => there.has(action)).map((action) =>
    make("label", { className: `chip ${action}` },
      make("input", { type: "checkbox", name: "action", value: action }),
      make("span", {}, words.actions[action]?.name ?? action),
      make("span", { className: "count faint" }))));
}

// ---- What the plan says of itself beside its changes

function notice(colour, title, ...lines) {
  const items = lines.map((line) => make("li", {}, ...line));
  byId("notices").append(make("section", { className: `box ${colour}` }, make("h2", {}, title), make("ul", {}, ...items)));
}

function notices() {
  const { partial, drift = [] } = head;
  const code = (text) => make("code", {}, ...harmless(String(text)));
  if (partial) {
    const globs = (title, all = []) => all.map((glob) => [`${title}: `, code(glob)]);
    notice("amber", words.partial, ...globs(words.target, partial.target), ...globs(words.exclude, partial.exclude));
  }
  if (drift.length > 0) {
    const some = drift.slice(0, 100).map(({ address, field }) => [code(address), ...(field ? [" ", code(field)] : [])]);
    const more = drift.length > 100 ? [[say(words.and_more, number(drift.length - 100))]] : [];
    notice("blue", `${words.drift} (${number(drift.length)})`, ...some, ...more);
  }
}

// ---- Begin

const rank = new Map(order.map((action, at) => [action, at]));
changes.sort((a, b) => (rank.get(a.action) ?? order.length) - (rank.get(b.action) ?? order.length));
notices();
chips();
suggest(form.elements.user, (change) => change.user);
suggest(form.elements.file, (change) => change.file);
form.addEventListener("input", filterSoon);
form.addEventListener("submit", (event) => event.preventDefault());
form.addEventListener("reset", filterSoon);
for (const [id, open] of [["unfold", true], ["fold", false]]) {
  byId(id).addEventListener("click", () => {
    everything = open;
    changes.forEach((change) => (change.open = undefined));
    show();
  });
}
addEventListener("beforeprint", () => {
  near.disconnect();
  // On paper nothing can be unfolded.
  for (const box of document.querySelectorAll("details.box")) box.open = true;
  for (const chunk of [...list.children].slice(0, PRINTED / CHUNK)) fillChunk(chunk);
  if (found.length <= PRINTED) return;
  [...list.children].slice(PRINTED / CHUNK).forEach((chunk) => chunk.remove());
  list.append(make("p", {}, say(words.not_printed, number(found.length - PRINTED))));
});
addEventListener("afterprint", show);
byId("changes").hidden = changes.length === 0;
filter();
// The first search then finds its texts ready.
(window.requestIdleCallback ?? setTimeout)(() => {
  valueTexts ??= values.map(textOf);
  for (const change of changes) change.text ??= textOfChange(change);
});
