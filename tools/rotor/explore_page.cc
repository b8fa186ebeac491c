#include "tools/rotor/explore_page.h"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>

#include <nlohmann/json.hpp>

#include "tools/rotor/output.h"

namespace rotor::cli {
namespace {

/// How many functions are compressed together: few enough that showing one is instant.
constexpr size_t kChunkFunctions = 32;

constexpr std::string_view kStyle = R"css(
:root { color-scheme: light dark;
  --page: #f7f7f5; --card: #ffffff; --ink: #1c1c1a; --soft: #63625d; --line: #e4e3de; --on: #dcebfb; }
@media (prefers-color-scheme: dark) { :root {
  --page: #141413; --card: #1d1d1b; --ink: #ecebe6; --soft: #a5a49c; --line: #34332f; --on: #24374d; } }
* { box-sizing: border-box; }
html, body { height: 100%; margin: 0; }
body { display: grid; grid-template: auto 1fr / minmax(180px, 280px) 1fr 1fr; background: var(--page); color: var(--ink);
  font: 14px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif; }
header { grid-column: 1 / 4; padding: 10px 16px; border-bottom: 1px solid var(--line); }
h1 { font-size: 17px; margin: 0; font-weight: 650; overflow-wrap: anywhere; } header p { margin: 0; color: var(--soft); }
nav, .pane { min-height: 0; min-width: 0; display: flex; flex-direction: column; border-right: 1px solid var(--line); }
nav .tools { padding: 8px; display: flex; gap: 6px; border-bottom: 1px solid var(--line); }
input, select { font: inherit; color: inherit; background: var(--card); border: 1px solid var(--line); border-radius: 6px;
  padding: 3px 8px; min-width: 0; } input { flex: 1; }
#count { padding: 2px 10px; color: var(--soft); font-size: 12px; }
#list { flex: 1; overflow: auto; position: relative; outline-offset: -2px; } #spacer { position: relative; }
#list div.row { position: absolute; left: 0; right: 0; height: 24px; padding: 1px 10px; cursor: pointer; display: flex;
  gap: 8px; white-space: nowrap; }
.row b { font-weight: 400; overflow: hidden; text-overflow: ellipsis; flex: 1; } .row span { color: var(--soft);
  font-size: 12px; font-variant-numeric: tabular-nums; }
.row:hover { background: var(--card); } .row.now { background: var(--on); }
h2 { font-size: 13px; font-weight: 620; margin: 0; padding: 6px 12px; border-bottom: 1px solid var(--line); white-space: nowrap;
  overflow: hidden; text-overflow: ellipsis; }
.code { flex: 1; overflow: auto; background: var(--card); padding: 6px 0; tab-size: 8;
  font: 12.5px/1.55 ui-monospace, "SFMono-Regular", "DejaVu Sans Mono", Menlo, monospace; }
.code div { white-space: pre; padding: 0 12px; border-left: 3px solid transparent; min-width: max-content; }
.code div.linked { cursor: pointer; } .code div.on { background: var(--on); }
.code span { color: var(--soft); display: inline-block; width: 9ch; user-select: none; }
@media (max-width: 860px) { body { grid-template: auto 30% 1fr 1fr / 1fr; } header { grid-column: 1; } }
)css";

// Lines of code become elements a thousand at a time, as they are scrolled to.
constexpr std::string_view kScript = R"js(
'use strict';
const ROW = 24, STEP = 1000;
const el = id => document.getElementById(id);
const unpack = async id => {
  const bytes = Uint8Array.from(atob(el(id).textContent), c => c.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('deflate'));
  return JSON.parse(await new Response(stream).text());
};
let all = [], shown = [], now = -1, chunks = new Map(), panes = {};
const label = f => f.n || 'func[' + f.i + ']';
const chunk = k => { if (!chunks.has(k)) chunks.set(k, unpack('c' + k)); return chunks.get(k); };

function filter() {
  const words = el('find').value.toLowerCase().split(' ').filter(w => w);
  const order = {index: (a, b) => a.p - b.p, name: (a, b) => label(a) < label(b) ? -1 : label(a) > label(b) ? 1 : a.p - b.p,
    size: (a, b) => b.s - a.s || a.p - b.p}[el('order').value];
  shown = all.filter(f => words.every(w => label(f).toLowerCase().includes(w) || String(f.i) === w)).sort(order);
  el('count').textContent = shown.length + ' of ' + all.length + ' functions, with their lines of machine code';
  el('spacer').style.height = shown.length * ROW + 'px';
  rows();
}
function rows() {
  const list = el('list'), first = Math.max(0, Math.floor(list.scrollTop / ROW) - 5);
  const last = Math.min(shown.length, first + Math.ceil(list.clientHeight / ROW) + 10), made = [];
  for (let k = first; k < last; k++) {
    const f = shown[k], row = document.createElement('div'), name = document.createElement('b'), size = document.createElement('span');
    row.className = f.p === now ? 'row now' : 'row';
    row.style.top = k * ROW + 'px';
    name.textContent = label(f);
    row.title = f.i + ': ' + label(f);
    size.textContent = f.s;
    row.append(name, size);
    row.onclick = () => { location.hash = 'f' + f.i; };
    made.push(row);
  }
  el('spacer').replaceChildren(...made);
}

class Pane {
  constructor(id) {
    this.box = el(id);
    this.box.onscroll = () => { if (this.box.scrollTop + 2 * this.box.clientHeight > this.box.scrollHeight) this.more(); };
    this.box.onmouseover = e => highlight(e.target.closest('.linked'), null);
    this.box.onclick = e => highlight(e.target.closest('.linked'), this);
  }
  fill(lines) {
    this.lines = lines; this.made = 0; this.of = new Map();
    lines.forEach(([offset], k) => { if (offset) this.of.has(offset) ? this.of.get(offset).push(k) : this.of.set(offset, [k]); });
    this.box.replaceChildren(); this.box.scrollTop = 0;
  }
  more(until = 0) {
    const add = [];
    for (const end = Math.min(this.lines.length, Math.max(this.made + STEP, until)); this.made < end; this.made++) {
      const [offset, text] = this.lines[this.made], line = document.createElement('div'), at = document.createElement('span');
      at.textContent = offset && (!this.made || this.lines[this.made - 1][0] !== offset) ? '0x' + offset.toString(16) : '';
      line.append(at, text);
      if (offset && this.other.of.has(offset)) {
        line.className = 'linked'; line.dataset.at = offset;
        line.style.borderLeftColor = 'hsl(' + offset * 47 % 360 + ' 55% 55%)';
      }
      add.push(line);
    }
    this.box.append(...add);
  }
  mark(offset, scroll) {
    for (const line of this.box.querySelectorAll('.on')) line.classList.remove('on');
    const lines = this.of.get(offset) || [];
    if (scroll && lines.length) this.more(lines[0] + STEP);
    for (const k of lines) if (k < this.made) this.box.children[k].classList.add('on');
    if (scroll && lines.length) this.box.children[lines[0]].scrollIntoView({block: 'center'});
  }
}
function highlight(line, from) {
  if (!line) return;
  const offset = Number(line.dataset.at);
  for (const pane of Object.values(panes)) pane.mark(offset, from && pane !== from);
}

async function show() {
  const want = Number(location.hash.slice(2)), f = all.find(x => x.i === want) || all[0];
  if (!f) return;
  now = f.p;
  const data = (await chunk(Math.floor(f.p / CHUNK)))[f.p % CHUNK];
  if (now !== f.p) return;
  el('title').textContent = f.i + ': ' + label(f);
  panes.wasm.fill(data.w); panes.machine.fill(data.m);
  panes.wasm.more(); panes.machine.more();
  const at = shown.indexOf(f), list = el('list');
  if (at >= 0 && (at * ROW < list.scrollTop || (at + 1) * ROW > list.scrollTop + list.clientHeight))
    list.scrollTop = Math.max(0, at * ROW - list.clientHeight / 2);
  rows();
}
function step(by) {
  const at = shown.findIndex(f => f.p === now), to = shown[at < 0 ? 0 : at + by];
  if (to) location.hash = 'f' + to.i;
}
(async () => {
  all = await unpack('index');
  all.forEach((f, p) => { f.p = p; });
  panes = {wasm: new Pane('wasm'), machine: new Pane('machine')};
  panes.wasm.other = panes.machine; panes.machine.other = panes.wasm;
  el('find').oninput = el('order').onchange = () => { el('list').scrollTop = 0; filter(); };
  el('find').onkeydown = el('list').onkeydown = e => {
    if (e.key === 'ArrowDown' || e.key === 'ArrowUp') { step(e.key === 'ArrowDown' ? 1 : -1); e.preventDefault(); }
    if (e.key === 'Enter' && shown[0]) location.hash = 'f' + shown[0].i;
  };
  el('list').onscroll = rows; window.onresize = rows; window.onhashchange = show;
  filter(); await show();
  document.body.dataset.ready = 'yes';
})();
)js";

std::string escaped(std::string_view text) {
  std::string out;
  for (char c : text) {
    switch (c) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '"': out += "&quot;"; break;
      default: out += c;
    }
  }
  return out;
}

std::string base64(std::string_view bytes) {
  constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (size_t at = 0; at < bytes.size(); at += 3) {
    const size_t count = std::min<size_t>(3, bytes.size() - at);
    uint32_t bits = 0;
    for (size_t i = 0; i < 3; ++i) bits = bits << 8 | (i < count ? static_cast<uint8_t>(bytes[at + i]) : 0);
    for (size_t i = 0; i < 4; ++i) text += i <= count ? kDigits[bits >> (18 - 6 * i) & 63] : '=';
  }
  return text;
}

/// Returns an element of compressed data: what `unpack` in the script reads.
std::string packed(const std::string& id, const nlohmann::ordered_json& json) {
  const std::string text = json_text(json);
  uLongf size = compressBound(text.size());
  std::string bytes(size, '\0');
  // It fails only if the room, which is as much as it may take, is too little, or if there is no memory.
  if (compress(reinterpret_cast<Bytef*>(bytes.data()), &size, reinterpret_cast<const Bytef*>(text.data()),
               text.size()) != Z_OK)
    throw std::bad_alloc();
  bytes.resize(size);
  return fmt::format("<script type=\"text/plain\" id=\"{}\">{}</script>\n", id, base64(bytes));
}

nlohmann::ordered_json lines_json(const std::vector<ExploredLine>& lines) {
  auto json = nlohmann::ordered_json::array();
  for (const ExploredLine& line : lines) json.push_back({line.offset, line.text});
  return json;
}

}  // namespace

std::string explore_page(const std::string& title, const std::string& facts,
                         const std::vector<ExploredFunction>& functions) {
  std::string page = fmt::format(R"html(<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<title>{0}</title><style>{2}</style></head><body>
<header><h1>{0}</h1><p>{1}</p></header>
<nav><div class="tools"><input id="find" type="search" placeholder="name or index" aria-label="find functions">
<select id="order" aria-label="order"><option>index</option><option>name</option><option>size</option></select></div>
<div id="count"></div><div id="list" tabindex="0" aria-label="functions"><div id="spacer"></div></div></nav>
<div class="pane"><h2 id="title"></h2><div class="code" id="wasm"></div></div>
<div class="pane"><h2>machine code</h2><div class="code" id="machine"></div></div>
<noscript>This page needs JavaScript.</noscript>
)html",
                                 escaped(title), escaped(facts), kStyle);
  auto index = nlohmann::ordered_json::array();
  for (const ExploredFunction& function : functions)
    index.push_back({{"i", function.index}, {"n", function.name}, {"s", function.machine.size()}});
  page += packed("index", index);
  for (size_t first = 0; first < functions.size(); first += kChunkFunctions) {
    auto chunk = nlohmann::ordered_json::array();
    for (size_t i = first; i < std::min(first + kChunkFunctions, functions.size()); ++i)
      chunk.push_back({{"w", lines_json(functions[i].wasm)}, {"m", lines_json(functions[i].machine)}});
    page += packed(fmt::format("c{}", first / kChunkFunctions), chunk);
  }
  page += fmt::format("<script>\nconst CHUNK = {};{}</script></body></html>\n", kChunkFunctions, kScript);
  return page;
}

}  // namespace rotor::cli
