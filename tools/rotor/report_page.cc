#include "tools/rotor/report_page.h"

#include "tools/rotor/report_chart.h"

namespace rotor::cli {
namespace {

constexpr std::string_view kStyle = R"css(
:root { color-scheme: light dark;
  --page: #f7f7f5; --card: #ffffff; --ink: #1c1c1a; --soft: #63625d; --line: #e4e3de; --grid: #ecebe6;
  --active: #2a78d6; --baseline: #d9551f; --resident: #6a4fc4; --together: #1a8a63; --image: #b3801a;
  --limit: #d03b3b; --level: #8b8a84; --warmup: #1baf7a; --failed: #d03b3b; --swap: #2a78d6; --drain: #c98500;
  --setup: #a9a8a2; --load: #cfd9e6; --good: #14804a; --bad: #c02f2f; }
@media (prefers-color-scheme: dark) { :root {
  --page: #141413; --card: #1d1d1b; --ink: #ecebe6; --soft: #a5a49c; --line: #34332f; --grid: #2a2a27;
  --active: #5a9fee; --baseline: #f0814f; --resident: #a394f0; --together: #3fbf8f; --image: #d9a441;
  --limit: #ee7272; --level: #84837c; --warmup: #2fb583; --failed: #ee7272; --swap: #5a9fee; --drain: #dba02f;
  --setup: #5f5e58; --load: #33415a; --good: #4fc48a; --bad: #ee7272; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif; }
main { max-width: 1140px; margin: 0 auto; padding: 28px 20px 60px; }
h1 { font-size: 24px; line-height: 1.25; margin: 0 0 4px; font-weight: 650; }
h2 { font-size: 17px; margin: 0 0 4px; font-weight: 620; }
p { margin: 0 0 10px; } .lead, .note { color: var(--soft); } .note { font-size: 13px; max-width: 110ch; margin-top: 8px; }
h3 { font-size: 14.5px; margin: 18px 0 0; font-weight: 620; }
section { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 18px 20px;
  margin-top: 18px; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 12px; margin-top: 18px; }
.tile { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 12px 14px; }
.tile b { display: block; font-size: 22px; line-height: 1.3; font-weight: 620; font-variant-numeric: tabular-nums; }
.tile span { color: var(--soft); font-size: 13px; line-height: 1.4; display: block; }
.good { color: var(--good); } .bad { color: var(--bad); }
dl.facts { display: grid; grid-template-columns: max-content 1fr; gap: 3px 16px; margin: 0; font-size: 13.5px; }
dl.facts dt { color: var(--soft); } dl.facts dd { margin: 0; overflow-wrap: anywhere; }
code, pre { font: 12.5px/1.5 ui-monospace, "SFMono-Regular", "DejaVu Sans Mono", Menlo, monospace; }
pre { overflow: auto; max-height: 420px; margin: 10px 0 0; padding: 12px; background: var(--page); border-radius: 6px; }
.legend { display: flex; flex-wrap: wrap; gap: 4px 18px; margin: 8px 0 6px; font-size: 13px; color: var(--soft); }
.legend i { display: inline-block; width: 18px; height: 0; border-top: 3px solid; vertical-align: middle;
  margin-right: 6px; border-radius: 2px; }
.legend i.box { height: 9px; width: 12px; border: 0; border-radius: 2px; background: currentColor; }
.legend i.dot { width: 9px; height: 9px; border: 0; border-radius: 50%; background: currentColor; }
.chart { display: block; width: 100%; height: auto; } .chart text { fill: var(--soft); font-size: 11.5px; }
.narrow { display: none; }
.chart .grid { stroke: var(--grid); } .chart .axis { stroke: var(--level); } .chart .tickmark { stroke: var(--level); }
.chart .rule { stroke: var(--swap); stroke-opacity: .22; } .chart .leader { fill: none; stroke: var(--level); }
.chart .line { fill: none; stroke-width: 1.8; stroke-linejoin: round; } .chart .line.thin { stroke-width: .9; }
.chart .level { stroke: var(--level); stroke-dasharray: 4 4; } .chart .level.limit { stroke: var(--limit); stroke-dasharray: none; }
.line.active, .range.active { stroke: var(--active); } .line.baseline { stroke: var(--baseline); }
.line.resident { stroke: var(--resident); } .line.together { stroke: var(--together); } .line.image { stroke: var(--image); }
.line.baseline_resident { stroke: var(--baseline); }
.bar.warmup { fill: var(--warmup); } .bar.failed { fill: var(--failed); } .bar.swap { fill: var(--swap); }
.bar.drain { fill: var(--drain); } .bar.setup { fill: var(--setup); } .bar.prepare { fill: var(--warmup); }
.bar.load { fill: var(--load); }
.chart .mark { fill: var(--card); stroke: var(--baseline); stroke-width: 2.5; }
.chart .markline { stroke: var(--baseline); stroke-dasharray: 2 3; } .chart .marklabel { fill: var(--baseline); font-weight: 600; }
.chart .hair { stroke: var(--ink); stroke-opacity: .45; visibility: hidden; }
.range { stroke-width: 2; stroke-opacity: .35; } .range.during { stroke: var(--baseline); } .range.after { stroke: var(--together); }
.range.before { stroke: var(--active); } .dot { stroke: var(--card); stroke-width: 1.5; }
.dot.before { fill: var(--active); } .dot.during { fill: var(--baseline); } .dot.after { fill: var(--together); }
.scroll { overflow: auto; max-height: 460px; margin-top: 8px; }
table { border-collapse: collapse; width: 100%; font-size: 13px; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: 5px 10px; border-bottom: 1px solid var(--line); white-space: nowrap; }
th { color: var(--soft); font-weight: 560; position: sticky; top: 0; background: var(--card); }
th:first-child, td:first-child, .text { text-align: left; }
.counters { display: grid; grid-template-columns: repeat(auto-fill, minmax(220px, 1fr)); gap: 0 26px; margin: 8px 0 0;
  font-size: 13.5px; }
.counters div { display: flex; justify-content: space-between; border-bottom: 1px solid var(--line); padding: 4px 0; }
.counters dt { color: var(--soft); } .counters dd { margin: 0; white-space: nowrap; font-variant-numeric: tabular-nums; }
summary { cursor: pointer; color: var(--soft); font-size: 13.5px; margin-top: 12px; }
#tip { position: fixed; z-index: 2; display: none; pointer-events: none; background: var(--card); color: var(--ink);
  border: 1px solid var(--line); border-radius: 6px; padding: 6px 10px; font-size: 12.5px; line-height: 1.45;
  box-shadow: 0 4px 14px rgb(0 0 0 / .18); white-space: nowrap; }
@media (max-width: 760px) { .wide { display: none; } .narrow { display: block; }
  main { padding: 18px 12px 40px; } section { padding: 14px 12px; } h1 { font-size: 20px; }
  .tiles { grid-template-columns: repeat(auto-fit, minmax(132px, 1fr)); gap: 8px; }
  dl.facts { grid-template-columns: 1fr; gap: 0; } dl.facts dd { margin-bottom: 6px; } }
@media print { body { background: none; } section, .tile { break-inside: avoid; } .scroll { max-height: none; } }
)css";

constexpr std::string_view kScript = R"js(
(() => {
  const data = JSON.parse(document.getElementById('chart-data').textContent);
  const tip = document.getElementById('tip');
  const units = ['B', 'KiB', 'MiB', 'GiB'];
  const bytes = v => { let u = 0; while (v >= 1024 && u < 3) { v /= 1024; u++; } return v.toFixed(u ? 2 : 0) + ' ' + units[u]; };
  const time = ms => ms < 2000 ? ms.toFixed(1) + ' ms' : (ms / 1000).toFixed(2) + ' s';
  for (const svg of document.querySelectorAll('svg[data-chart]')) {
    const chart = data[svg.dataset.chart];
    if (!chart || !chart.t.length) continue;
    const hair = svg.querySelector('.hair'), left = +svg.dataset.left, right = +svg.dataset.right;
    const hide = () => { hair.style.visibility = 'hidden'; tip.style.display = 'none'; };
    svg.addEventListener('pointerleave', hide);
    svg.addEventListener('pointermove', event => {
      const box = svg.getBoundingClientRect();
      const at = (event.clientX - box.left) / box.width * svg.viewBox.baseVal.width;
      if (at < left || at > right) return hide();
      const ms = chart.begin + (at - left) / (right - left) * (chart.end - chart.begin);
      let low = 0, high = chart.t.length - 1;
      while (low < high) { const mid = (low + high + 1) >> 1; if (chart.t[mid] <= ms) low = mid; else high = mid - 1; }
      hair.setAttribute('x1', at); hair.setAttribute('x2', at); hair.style.visibility = 'visible';
      tip.replaceChildren();
      const line = text => { const div = document.createElement('div'); div.textContent = text; tip.append(div); };
      line(time(chart.t[low]));
      for (const series of chart.series) line(series.name + ': ' + bytes(series.v[low]));
      tip.style.display = 'block';
      const beside = event.clientX + 16 + tip.offsetWidth > innerWidth ? -16 - tip.offsetWidth : 16;
      tip.style.left = Math.max(4, event.clientX + beside) + 'px';
      tip.style.top = Math.min(event.clientY + 14, innerHeight - tip.offsetHeight - 6) + 'px';
    });
  }
})();
)js";

}  // namespace

std::string html_page(std::string_view title, std::string_view body, std::string_view chart_data) {
  std::string page =
      "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>";
  page += escape_html(title);
  page += "</title>\n<style>";
  page += kStyle;
  page += "</style>\n</head>\n<body>\n<main>\n";
  page += body;
  page += "</main>\n<div id=\"tip\" role=\"status\"></div>\n<script type=\"application/json\" id=\"chart-data\">";
  page += chart_data;
  page += "</script>\n<script>";
  page += kScript;
  page += "</script>\n</body>\n</html>\n";
  return page;
}

}  // namespace rotor::cli
