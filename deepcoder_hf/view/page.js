"use strict";
// Text of a trajectory reaches the page through text nodes only; the policy of the page allows nothing else.
const TYPES = ["other", "reasoning", "action", "observation", "answer"];
const ORDER = [1, 2, 3, 4, 0];
const FRAME = new Set(["header", "stop", "turn_end", "empty_think"]);
const byId = (id) => document.getElementById(id);
const number = new Intl.NumberFormat("en-US");
const percent = (share) => (share === null ? "?" : `${(100 * share).toFixed(share > 0 && share < 0.1 ? 1 : 0)} %`);

function make(tag, name, ...children) {
  const node = document.createElement(tag);
  if (name) node.className = name;
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

function marked(node, attributes) {
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  return node;
}

async function unpack(id) {
  const packed = byId(id).textContent;
  const bytes = Uint8Array.from(atob(packed), (character) => character.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return JSON.parse(await new Response(stream).text());
}

// Invisible characters: the ranges come with the data, so that the terminal, the card and the page agree.
let signs = /(?!)/gu;
let signNames = {};
let controls = [];
function readSigns(ranges, names, short) {
  controls = short;
  const hex = (code) => `\\u{${code.toString(16)}}`;
  signs = new RegExp(`[${ranges.map(([first, last]) => `${hex(first)}-${hex(last)}`).join("")}]`, "gu");
  signNames = names;
}

function signOf(character) {
  const code = character.codePointAt(0);
  return `⟨${controls[code] ?? `U+${code.toString(16).toUpperCase().padStart(4, "0")}`}⟩`;
}

function visible(text) {
  return String(text).replace(signs, signOf);
}

function addText(node, text) {
  let at = 0;
  for (const match of text.matchAll(signs)) {
    if (match.index > at) node.append(text.slice(at, match.index));
    const code = match[0].codePointAt(0).toString(16).toUpperCase().padStart(4, "0");
    const sign = make("i", "sign", signOf(match[0]).replace(/[⟨⟩]/g, ""));
    sign.title = signNames[code] || `control character U+${code}`;
    node.append(sign);
    at = match.index + match[0].length;
  }
  if (at < text.length) node.append(text.slice(at));
  return node;
}

const state = { index: null, shown: [], at: -1, tokens: false, masks: false, dim: false, query: "", texts: [], details: new Map() };

async function textsOf(chunk) {
  state.texts[chunk] ??= unpack(`texts-${chunk}`);
  return state.texts[chunk];
}

async function detailsOf(chunk) {
  if (!state.details.has(chunk)) {
    state.details.set(chunk, unpack(`details-${chunk}`));
    if (state.details.size > 6) state.details.delete(state.details.keys().next().value);
  }
  return state.details.get(chunk);
}
