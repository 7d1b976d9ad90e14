// One trajectory: its head, and its spans as text, as tokens, or as tokens with their masks and labels.
const PIECE = 300; // tokens that are put into the page at once, when they come near the window

let near = null;
function whenNear(node, fill) {
  near ??= new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting || !entry.target.fill) continue;
      near.unobserve(entry.target);
      const put = entry.target.fill;
      entry.target.fill = null;
      entry.target.style.minHeight = "";
      put();
    }
  }, { root: byId("main"), rootMargin: "800px" });
  node.fill = fill;
  near.observe(node);
}

function unrolled(detail) {
  if (detail.codes) return detail;
  const n = detail.ids.length;
  detail.codes = new Uint8Array(n);
  let at = 0;
  for (let i = 0; i < detail.runs.length; i += 2) {
    detail.codes.fill(detail.runs[i + 1], at, at + detail.runs[i]);
    at += detail.runs[i];
  }
  if (Array.isArray(detail.starts)) {
    detail.places = new Int32Array(n);
    let sum = 0;
    detail.starts.forEach((step, i) => { detail.places[i] = sum += step; });
  }
  detail.overSet = new Set(detail.over);
  const names = state.index.names;
  detail.list = detail.spans.map(([type, subtype, origin, pattern, first, last, start, end, step, confidence]) => ({
    type: names[type], subtype: names[subtype], origin: names[origin], pattern: names[pattern],
    first, last, start, end, step, confidence,
  }));
  for (const span of detail.list) {
    span.trained = 0;
    for (let i = span.first; i < span.last; i++) span.trained += detail.codes[i] & 1;
  }
  return detail;
}

const classOf = (type) => (TYPES.includes(type) ? `t-${type}` : "t-none");
const kindOf = (span) => visible(span.subtype ? `${span.type} / ${span.subtype}` : span.type);
const sureOf = (span) => (span.confidence === null ? "?" : span.confidence.toFixed(2));

function trainedWords(span) {
  const n = span.last - span.first;
  return span.trained === 0 ? "masked" : span.trained === n ? "trained" : `${span.trained} of ${n} trained`;
}

function head(item, detail) {
  const parts = [addText(make("h2", ""), item.id)];
  if (item.status !== "kept") {
    parts.push(make("p", `badge ${item.status}`, `${item.status}: `, make("b", "", visible(item.reason))));
    return parts;
  }
  const q = detail.quality;
  const window_ = item.window ? `, window ${item.window[0]} of ${item.window[1]}` : "";
  const over = item.over === null ? "" : `, ${item.over} straddling`;
  parts.push(make("p", "meta", visible(`row ${item.row}, group ${detail.group}, ${item.format}${window_}: ${number.format(item.length)} tokens, `
    + `${number.format(item.trained)} trained (${percent(item.trained / Math.max(item.length, 1))})${over}`)));
  parts.push(shareBar(item.shares));
  const legend = make("div", "legend");
  for (const type of ORDER) legend.append(make("span", `t-${TYPES[type]}`, `${TYPES[type]} ${percent(q[TYPES[type]])}`));
  legend.append(make("span", "t-none", `mean confidence ${q.mean_confidence === null ? "?" : q.mean_confidence.toFixed(3)}`));
  legend.append(make("span", "t-none", `row weight ${detail.weight}`));
  parts.push(legend);
  parts.push(folded("metadata", () => pretty(detail.metadata)));
  if (detail.original !== null) parts.push(folded("text of the source, where it differs", () => detail.original));
  return parts;
}

function shareBar(shares) {
  const bar = marked(make("div", "shares"), { "aria-hidden": "true" });
  for (const type of ORDER) {
    if (!shares[type]) continue;
    const part = make("i", `t-${TYPES[type]}`);
    part.style.flexGrow = String(shares[type]);
    bar.append(part);
  }
  return bar;
}

function pretty(text) {
  try { return JSON.stringify(JSON.parse(text), null, 2); } catch { return text; }
}

function folded(title, text) {
  const fold = make("details", "", make("summary", "", title));
  fold.addEventListener("toggle", () => {
    if (fold.open && fold.children.length === 1) fold.append(addText(make("pre", ""), text()));
  });
  return fold;
}

function toolbar(detail) {
  const bar = marked(make("div", "toolbar"), { role: "toolbar", "aria-label": "View" });
  const hasPlaces = Boolean(detail.places);
  for (const [key, name, words, letter] of [["tokens", "Tokens", "Token boundaries", "t"], ["masks", "Masks", "Mask and label rows", "m"], ["dim", "Trained", "Dim what is not trained", "x"]]) {
    const button = marked(make("button", "", name), { type: "button", "aria-pressed": String(state[key]), title: `${words} (${letter})` });
    if (key === "tokens" && !hasPlaces) button.disabled = true;
    button.addEventListener("click", () => toggle(key));
    bar.append(button);
  }
  if (!hasPlaces) bar.append(make("span", "why", visible(`no token boundaries: ${detail.starts}`)));
  return bar;
}

function spanNode(span, place, text, detail) {
  const frame = FRAME.has(span.subtype);
  const gutter = make("div", "gutter");
  if (frame) gutter.append(visible(span.subtype));
  else gutter.append(make("b", "", visible(span.type)), ` ${visible(span.subtype === span.type ? "" : span.subtype)}`, make("div", "", `${number.format(span.last - span.first)} tok, ${sureOf(span)}, ${trainedWords(span)}`));
  const words = make("div", "words");
  const node = make("div", `span ${classOf(span.type)}${span.trained ? "" : " masked"}${frame ? " frame" : ""}`, gutter, words);
  marked(node, { role: "group", tabindex: "-1", "aria-label": `${kindOf(span)}, ${span.last - span.first} tokens, ${trainedWords(span)}, confidence ${sureOf(span)}, ${visible(span.origin)} ${visible(span.pattern)}` });
  node.dataset.span = place;
  if (state.masks) putPieces(words, span, text, detail, "cells", cellNode);
  else if (state.tokens && detail.places) putPieces(words, span, text, detail, "", tokenNode);
  else putText(words, span.start, span.end, text, detail);
  return node;
}

function putText(node, start, end, text, detail) {
  let at = start;
  for (const token of detail.over) {
    const [first, last] = tokenRange(token, text, detail);
    if (last <= at || first >= end) continue;
    if (first > at) addText(node, text.slice(at, first));
    const part = make("span", "straddle");
    part.title = `token ${token} lies over a border of spans`;
    node.append(addText(part, text.slice(Math.max(first, at), Math.min(last, end))));
    at = Math.min(last, end);
  }
  addText(node, text.slice(at, end));
}

function tokenRange(token, text, detail) {
  const places = detail.places;
  return [places[token], token + 1 < places.length ? places[token + 1] : text.length];
}

function putPieces(words, span, text, detail, name, build) {
  for (let first = span.first; first < span.last; first += PIECE) {
    const last = Math.min(first + PIECE, span.last);
    const piece = make("div", name);
    if (span.last - span.first > 40) {
      piece.style.minHeight = `${Math.ceil((last - first) / (name ? 12 : 18)) * (name ? 96 : 20)}px`;
      whenNear(piece, () => fillPiece(piece, first, last, text, detail, build));
    } else fillPiece(piece, first, last, text, detail, build);
    words.append(piece);
  }
}

function fillPiece(piece, first, last, text, detail, build) {
  const parts = [];
  if (build === cellNode) parts.push(marked(make("div", "cell heads", ...["token", "id", "reasoning", "action", "label"].map((name) => make("span", "", name))), { "aria-hidden": "true" }));
  for (let token = first; token < last; token++) parts.push(build(token, text, detail));
  piece.append(...parts);
}

function tokenText(token, text, detail) {
  const node = make("span", `tok${detail.overSet.has(token) ? " straddle" : ""}`);
  if (!detail.places) return node;
  const [first, last] = tokenRange(token, text, detail);
  if (first === last) node.append("▫");
  else addText(node, text.slice(first, last));
  return node;
}

function tokenNode(token, text, detail) {
  const node = tokenText(token, text, detail);
  node.dataset.token = token;
  return node;
}

const labelOf = (token, detail) => ((detail.codes[token] & 1) === 0 ? -100 : detail.labels[token] ?? detail.ids[token]);

function cellNode(token, text, detail) {
  const code = detail.codes[token];
  const bit = (on) => make("span", on ? "on" : "off", on ? "1" : "0");
  const label = labelOf(token, detail);
  const node = make("div", "cell", tokenText(token, text, detail), make("span", "off", String(detail.ids[token])), bit(code & 2), bit(code & 4), make("span", label === -100 ? "off" : "on", String(label)));
  node.dataset.token = token;
  return node;
}

function tellSpan(span) {
  const facts = [["", `${kindOf(span)}`], ["", trainedWords(span)], ["confidence", sureOf(span)], ["origin", span.origin || "-"], ["pattern", span.pattern || "-"],
    ["step", span.step], ["tokens", `${span.first}-${span.last}`], ["characters", `${span.start}-${span.end}`]];
  tell(facts);
}

function tellToken(token, detail, text) {
  const code = detail.codes[token];
  const facts = [["", `token ${token}`], ["id", detail.ids[token]], ["type", TYPES[code >> 3] ?? code >> 3], ["reasoning_mask", (code >> 1) & 1], ["action_mask", (code >> 2) & 1], ["label", labelOf(token, detail)]];
  if (detail.places) facts.push(["text", JSON.stringify(text.slice(...tokenRange(token, text, detail)))]);
  if (detail.overSet.has(token)) facts.push(["", "over a border of spans"]);
  tell(facts);
}

function tell(facts) {
  byId("detail").replaceChildren(...facts.map(([name, value]) => make("span", "", name ? `${name} ` : null, make("b", "", visible(value)))));
}

function rejectBody(text, detail) {
  const facts = make("table", "facts");
  for (const [name, value] of Object.entries(detail.reject)) {
    if (value === null || value === "") continue;
    facts.append(make("tr", "", marked(make("th", "", visible(name)), { scope: "row" }), addText(make("td", ""), typeof value === "string" ? value : JSON.stringify(value))));
  }
  const parts = [facts];
  if (text) parts.push(make("h3", "", "beginning of the record"), addText(make("pre", ""), text));
  return parts;
}

function trajectoryBody(text, detail) {
  const body = make("div", state.dim ? "dim" : "");
  body.id = "body";
  let step = null;
  detail.list.forEach((span, place) => {
    if (span.step !== step) {
      step = span.step;
      body.append(make("div", "step", step ? `step ${step}` : "before the first step"));
    }
    body.append(spanNode(span, place, text, detail));
  });
  return body;
}

async function draw() {
  const item = state.shown[state.at];
  const section = byId("trajectory");
  if (!item) { section.replaceChildren(make("p", "meta", "Nothing matches the filters.")); state.open = null; return; }
  const [texts, details] = await Promise.all([textsOf(item.chunk), detailsOf(item.chunk)]);
  if (item !== state.shown[state.at]) return;
  near?.disconnect();
  near = null;
  const text = texts[item.place], detail = details[item.place];
  if (item.status !== "kept") section.replaceChildren(...head(item, detail), ...rejectBody(text, detail));
  else {
    unrolled(detail);
    section.replaceChildren(...head(item, detail), toolbar(detail), trajectoryBody(text, detail));
  }
  state.open = { item, text, detail };
  highlight();
}

function highlight() {
  state.hit = null;
  if (!window.Highlight || !CSS.highlights) return;
  CSS.highlights.delete("hit");
  if (!state.pattern) return;
  state.pattern.lastIndex = 0; // matchAll begins there
  const found = [];
  const walker = document.createTreeWalker(byId("trajectory"), NodeFilter.SHOW_TEXT);
  while (walker.nextNode() && found.length < 2000) {
    for (const match of walker.currentNode.data.matchAll(state.pattern)) {
      const range = new Range();
      range.setStart(walker.currentNode, match.index);
      range.setEnd(walker.currentNode, match.index + match[0].length);
      found.push(range);
    }
  }
  if (found.length) CSS.highlights.set("hit", new Highlight(...found));
  state.hit = found[0] ?? null;
}
