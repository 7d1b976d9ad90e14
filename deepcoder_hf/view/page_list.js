// The list of trajectories with its search and filters, and what keys and buttons do.
const ITEM = 58;

function itemNode(item, place) {
  const small = make("small", "");
  if (item.status === "kept") {
    const facts = [`${number.format(item.length)} tok`, item.confidence === null ? "?" : item.confidence.toFixed(2), visible(item.format)];
    if (item.over) facts.splice(2, 0, `${item.over} over`);
    small.append(shareBar(item.shares), ...facts.map((words) => make("span", "", words)));
  } else small.append(make("span", item.status, item.status), make("span", "", visible(item.reason)));
  const node = make("div", "item", make("b", "", visible(item.id) + (item.window ? ` [${item.window[0]}/${item.window[1]}]` : "")), small);
  const shares = item.status === "kept" ? ORDER.map((type) => `${TYPES[type]} ${percent(item.shares[type])}`).join(", ") : visible(item.reason);
  marked(node, { role: "option", id: `item-${place}`, "aria-selected": String(place === state.at), "aria-setsize": state.shown.length, "aria-posinset": place + 1, "aria-label": `${visible(item.id)}, ${item.status}, ${shares}` });
  node.style.top = `${place * ITEM}px`;
  node.dataset.place = place;
  return node;
}

function drawList() {
  const list = byId("list"), spacer = byId("spacer");
  spacer.style.height = `${state.shown.length * ITEM}px`;
  const first = Math.max(0, Math.floor(list.scrollTop / ITEM) - 6);
  const last = Math.min(state.shown.length, Math.ceil((list.scrollTop + list.clientHeight) / ITEM) + 6);
  const nodes = [];
  for (let place = first; place < last; place++) nodes.push(itemNode(state.shown[place], place));
  list.replaceChildren(spacer, ...nodes);
  if (state.at >= first && state.at < last) list.setAttribute("aria-activedescendant", `item-${state.at}`);
  else list.removeAttribute("aria-activedescendant");
}

async function open(place, scroll = true) {
  state.at = Math.max(0, Math.min(place, state.shown.length - 1));
  state.span = -1;
  const list = byId("list");
  if (scroll && state.shown.length) {
    const top = state.at * ITEM;
    if (top < list.scrollTop) list.scrollTop = top;
    else if (top + ITEM > list.scrollTop + list.clientHeight) list.scrollTop = top + ITEM - list.clientHeight;
  }
  drawList();
  showOverview(false);
  byId("main").scrollTop = 0;
  await draw();
}

function literal(query) {
  return query ? new RegExp(query.replace(/[.*+?^${}()|[\]\\\/-]/g, "\\$&").replace(/\\-/g, "\\x2d"), "giu") : null;
}

let turn = 0;
async function filter() {
  const mine = ++turn;
  const value = (id) => byId(id).value;
  const pattern = literal(value("search"));
  const has = (text) => { pattern.lastIndex = 0; return pattern.test(text); };
  const type = Number(value("share-type"));
  const least = value("share-min") === "" ? null : Number(value("share-min")) / 100;
  const most = value("share-max") === "" ? null : Number(value("share-max")) / 100;
  let found = state.index.items.filter((item) => {
    const share = item.shares ? item.shares[type] : null;
    return (!value("status") || item.status === value("status")) && (!value("format") || item.format === value("format"))
      && (least === null || (share !== null && share >= least)) && (most === null || (share !== null && share <= most))
      && (!byId("over").checked || item.over > 0);
  });
  if (pattern) {
    const kept = [];
    for (const item of found) {
      if (has(item.id) || has(item.reason || "") || has(item.note || "")) kept.push(item);
      else {
        const texts = await textsOf(item.chunk);
        if (mine !== turn) return;
        if (has(texts[item.place])) kept.push(item);
      }
    }
    found = kept;
  }
  const orders = { length: (a) => -(a.length ?? 0), short: (a) => a.length ?? Infinity, confidence: (a) => a.confidence ?? 2, over: (a) => -(a.over ?? -1), share: (a) => (a.shares ? -a.shares[type] : 1) };
  const key = orders[value("sort")];
  if (key) found = found.map((item, place) => [key(item), place, item]).sort((a, b) => a[0] - b[0] || a[1] - b[1]).map((entry) => entry[2]);
  const current = state.shown[state.at];
  state.shown = found;
  state.pattern = pattern;
  byId("count").textContent = `${number.format(found.length)} of ${number.format(state.index.items.length)}`;
  byId("list").scrollTop = 0;
  await open(Math.max(found.indexOf(current), 0));
  if (mine === turn && state.hit) state.hit.startContainer.parentElement.scrollIntoView({ block: "center" });
}

async function toggle(key) {
  if (!state.open || state.open.item.status !== "kept") return;
  if (key === "tokens" && !state.open.detail.places) return;
  state[key] = !state[key];
  if (key === "tokens" && state.tokens) state.masks = false;
  if (key === "masks" && state.masks) state.tokens = false;
  const focused = document.activeElement?.closest?.(".toolbar") ? document.activeElement.textContent : null;
  const first = [...document.querySelectorAll(".span")].find((node) => node.getBoundingClientRect().bottom > 80)?.dataset.span;
  await draw();
  const same = document.querySelector(`.span[data-span="${first}"]`);
  if (first > 0 && same) same.scrollIntoView({ block: "start" });
  if (focused) [...document.querySelectorAll(".toolbar button")].find((node) => node.textContent === focused)?.focus();
}

function stepSpan(by) {
  if (!state.open?.detail.list) return;
  const n = state.open.detail.list.length;
  pickSpan(Math.max(0, Math.min(n - 1, (state.span ?? -1) + by)), true);
}

function pickSpan(place, focus) {
  document.querySelector(".span.current")?.classList.remove("current");
  const node = document.querySelector(`.span[data-span="${place}"]`);
  if (!node) return;
  state.span = place;
  node.classList.add("current");
  if (focus) { node.focus({ preventScroll: true }); node.scrollIntoView({ block: "nearest" }); }
  tellSpan(state.open.detail.list[place]);
}

function showOverview(on) {
  byId("overview").hidden = !on;
  byId("trajectory").hidden = on;
  byId("overview-button").setAttribute("aria-pressed", String(on));
}

function isDark() {
  const theme = document.documentElement.dataset.theme;
  return theme ? theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

function switchTheme() {
  document.documentElement.dataset.theme = isDark() ? "light" : "dark";
  nameTheme();
}

function nameTheme() { byId("theme-button").textContent = isDark() ? "Light" : "Dark"; }

const KEYS = {
  j: () => open(state.at + 1), k: () => open(state.at - 1), n: () => stepSpan(1), p: () => stepSpan(-1),
  t: () => toggle("tokens"), m: () => toggle("masks"), x: () => toggle("dim"), d: switchTheme,
  o: () => showOverview(byId("overview").hidden), "?": () => byId("help").showModal(),
  "/": () => { byId("search").focus(); byId("search").select(); },
};
const LIST_KEYS = {
  ArrowDown: () => open(state.at + 1), ArrowUp: () => open(state.at - 1), Home: () => open(0), End: () => open(state.shown.length - 1),
  PageDown: () => open(state.at + 10), PageUp: () => open(state.at - 10), Enter: () => byId("main").focus(),
};

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || byId("help").open) return;
  const at = document.activeElement;
  if (event.key === "Escape" && byId("filters").contains(at)) { byId("list").focus(); return; }
  if (at instanceof HTMLInputElement && at.type !== "checkbox") {
    if (at.id === "search" && ["ArrowDown", "Enter"].includes(event.key)) { event.preventDefault(); byId("list").focus(); }
    return;
  }
  if (at instanceof HTMLSelectElement) return;
  const inList = at === byId("list") || at === document.body;
  const act = (inList && LIST_KEYS[event.key]) || KEYS[event.key];
  if (act) { event.preventDefault(); act(); }
}

function onPoint(event) {
  const detail = state.open?.detail;
  if (!detail?.list) return;
  const token = event.target.closest?.("[data-token]");
  const span = event.target.closest?.("[data-span]");
  if (token) tellToken(Number(token.dataset.token), detail, state.open.text);
  else if (span) tellSpan(detail.list[Number(span.dataset.span)]);
}

function listen() {
  let frame = 0, wait = 0;
  byId("list").addEventListener("scroll", () => { cancelAnimationFrame(frame); frame = requestAnimationFrame(drawList); });
  byId("list").addEventListener("click", (event) => {
    const node = event.target.closest(".item");
    if (node) open(Number(node.dataset.place), false);
  });
  byId("filters").addEventListener("submit", (event) => event.preventDefault());
  byId("filters").addEventListener("input", () => { clearTimeout(wait); wait = setTimeout(filter, 120); });
  byId("filters").addEventListener("reset", () => setTimeout(filter));
  byId("trajectory").addEventListener("mouseover", onPoint);
  byId("trajectory").addEventListener("focusin", onPoint);
  byId("trajectory").addEventListener("click", (event) => {
    const node = event.target.closest(".span");
    if (node && !event.target.closest("[data-token]")) pickSpan(Number(node.dataset.span), false);
  });
  byId("overview-button").addEventListener("click", KEYS.o);
  byId("theme-button").addEventListener("click", switchTheme);
  byId("help-button").addEventListener("click", KEYS["?"]);
  document.addEventListener("keydown", onKey);
  addEventListener("resize", drawList);
}

async function start() {
  if (typeof DecompressionStream === "undefined") throw new Error("this browser is too old: it has no DecompressionStream");
  const index = await unpack("index");
  state.index = index;
  readSigns(index.signs, index.sign_names, index.controls);
  const formats = [...new Set(index.items.map((item) => item.format).filter(Boolean))].sort();
  for (const name of formats) byId("format").append(marked(make("option", "", visible(name)), { value: name }));
  state.shown = index.items;
  byId("count").textContent = `${number.format(index.items.length)} of ${number.format(index.items.length)}`;
  nameTheme();
  listen();
  await open(index.first);
  requestAnimationFrame(() => setTimeout(() => { performance.mark("painted"); document.documentElement.dataset.ready = "yes"; }));
}

start().catch((error) => { byId("trajectory").replaceChildren(make("p", "badge failed", `The page cannot be shown: ${error.message}`)); });
