"""What the pages that can be explored add to the style sheet, and the script that makes them move.

Strategy: without the script the page shows all its tables and texts. The script lays out the treemap for the width that
there is, enters its boxes, draws the histogram of a tensor, and sorts and filters tables. Text reaches the page as
text only (`textContent`), whatever it says, and nothing is fetched.
"""

from __future__ import annotations

STYLE = """
main { max-width: 1128px; }
.tools { display: flex; flex-wrap: wrap; gap: 8px 16px; align-items: center; margin: 12px 0; font-size: 14px; }
.tools label { color: var(--muted); display: inline-flex; gap: 6px; align-items: center; }
.tools input, .tools select, button { font: inherit; color: inherit; background: var(--panel);
  border: 1px solid var(--line); border-radius: 6px; padding: 4px 9px; }
.tools input { min-width: 0; width: 260px; max-width: 100%; }
button { cursor: pointer; } button:hover { border-color: var(--a); }
#crumbs { display: flex; flex-wrap: wrap; gap: 4px; }
#tree { position: relative; height: 520px; overflow: hidden; border-radius: 8px; background: var(--panel); }
#tree div { position: absolute; overflow: hidden; white-space: nowrap; border: 1px solid var(--paper); cursor: pointer;
  font-size: 12.5px; line-height: 15px; padding: 1px 4px; text-overflow: ellipsis; border-radius: 2px;
  font-variant-numeric: tabular-nums; }
#tree div:focus-visible, #tree div:hover { outline: 2px solid var(--ink); outline-offset: -2px; }
#tree .bare { padding: 0; }
.k0 { background: color-mix(in srgb, var(--a) 38%, var(--panel)); }
.k1 { background: color-mix(in srgb, var(--b) 38%, var(--panel)); }
.k2 { background: color-mix(in srgb, var(--c) 38%, var(--panel)); }
.k3 { background: color-mix(in srgb, var(--d) 38%, var(--panel)); }
.k4 { background: color-mix(in srgb, var(--e) 38%, var(--panel)); }
.k5 { background: color-mix(in srgb, var(--f) 38%, var(--panel)); }
#tree .group { background: color-mix(in srgb, var(--ink) 9%, var(--panel)); color: var(--ink); }
#detail { background: var(--panel); border: 1px solid var(--line); border-radius: 8px; padding: 14px 16px;
  margin: 14px 0; }
#detail h3 { margin: 0 0 6px; overflow-wrap: anywhere; }
#detail p { font-size: 14px; margin: 4px 0; max-width: none; overflow-wrap: anywhere; }
.bars { display: flex; align-items: flex-end; height: 150px; margin-top: 12px; border-bottom: 1px solid var(--line); }
.bars i { flex: 1 1 0; min-width: 0; background: var(--a); margin: 0 0.5px; border-radius: 2px 2px 0 0; }
.ends { display: flex; justify-content: space-between; color: var(--muted); font-size: 13px; }
th button { all: unset; cursor: pointer; } th button:hover { color: var(--ink); }
th button:focus-visible { outline: 2px solid var(--a); }
th[aria-sort="descending"] button::after { content: " \\2193"; }
th[aria-sort="ascending"] button::after { content: " \\2191"; }
td button { all: unset; cursor: pointer; color: var(--a); display: inline; overflow-wrap: anywhere; }
td button:hover { text-decoration: underline; }
td button:focus-visible { outline: 2px solid var(--a); }
.graph { overflow: auto; max-height: 720px; border: 1px solid var(--line); border-radius: 8px; padding: 8px; }
.graph svg { width: auto; height: auto; max-width: none; margin: 0 auto; }
.hex td { white-space: nowrap; vertical-align: top; } .hex td:last-child { white-space: normal; min-width: 260px; }
@media (max-width: 600px) { #tree { height: 440px; }
  .sortable td:not(:first-child):not(:last-child) { white-space: nowrap; } #tensors td { white-space: nowrap; }
  #tensors td:first-child { white-space: normal; } }
"""

SCRIPT = """
(() => {
"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const at = id => document.getElementById(id);
const make = (tag, kind, text) => {
  const e = document.createElement(tag);
  if (kind) e.className = kind;
  if (text !== undefined) e.textContent = text;
  return e;
};
const whole = n => n.toLocaleString("en-US");

/* treemap: a node is [name, bytes, children, tensor] */
const worst = (row, side) => {
  const total = row.reduce((a, b) => a + b, 0);
  return total && side ? Math.max(side * side * row[0] / total ** 2, total ** 2 / (side * side * row[row.length - 1]))
    : Infinity;
};
const squarified = (sizes, box) => {
  const boxes = [], sum = sizes.reduce((a, b) => a + b, 0);
  let [x, y, w, h] = box;
  const areas = sizes.map(s => s * w * h / sum);
  for (let i = 0; i < areas.length;) {
    const side = Math.min(w, h);
    let j = i + 1;
    while (j < areas.length && worst(areas.slice(i, j + 1), side) <= worst(areas.slice(i, j), side)) j++;
    const row = areas.slice(i, j), depth = side ? row.reduce((a, b) => a + b, 0) / side : 0, upright = w >= h;
    let place = upright ? y : x;
    for (const area of row) {
      const length = depth ? area / depth : 0;
      boxes.push(upright ? [x, place, depth, length] : [place, y, length, depth]);
      place += length;
    }
    if (upright) { x += depth; w = Math.max(0, w - depth); } else { y += depth; h = Math.max(0, h - depth); }
    i = j;
  }
  return boxes;
};
let path = [];
const colours = new Map();
const tree = at("tree"), crumbs = at("crumbs"), grouping = at("grouping");
const draw = (node, trail, box, colour, depth) => {
  const [x, y, w, h] = box;
  if (w < 2 || h < 2) return;
  const [name, bytes, children, tensor] = node, group = children && children.length;
  const strip = group && h > 50 && w > 54, text = strip || (!group && h > 16 && w > 26);
  const room = Math.floor((w - 10) / 7), fits = text => text.length <= room;
  const short = fits(name) ? name : name.replace(/[.]weight$/, "");
  const label = fits(short) ? short : "\u2026" + short.slice(1 - room);
  const shown = text && (fits(short) || room > 6) ? label : "";
  const e = make("div", (group ? "group" : "k" + colour) + (shown ? "" : " bare"), shown);
  e.style.cssText = `left:${x}px;top:${y}px;width:${w}px;height:${h}px`;
  e.title = `${name}: ${whole(bytes)} bytes, ${(100 * bytes / data.bytes).toFixed(2)} %`;
  e.tabIndex = 0;
  e.setAttribute("role", "button");
  e.setAttribute("aria-label", e.title);
  const go = event => {
    event.stopPropagation();
    if (group && trail.length) { path = trail; show(); }
    if (tensor !== null) detail(tensor);
  };
  e.onclick = go;
  e.onkeydown = event => { if (event.key === "Enter") go(event); };
  tree.append(e);
  if (!group) return;
  const top = strip ? 18 : 1;
  const inner = [x + 2, y + top, Math.max(0, w - 4), Math.max(0, h - top - 2)];
  squarified(children.map(c => c[1]), inner).forEach((place, k) => {
    const child = children[k];
    let shade = colour;
    if (child[2] && child[2].some(leaf => leaf[3] !== null)) {
      if (!colours.has(child[0])) colours.set(child[0], colours.size % 6);
      shade = colours.get(child[0]);
    }
    draw(child, [...trail, k], place, shade, depth + 1);
  });
};
const show = () => {
  let node = data.trees[grouping.value];
  const names = [[node[0], []]];
  path.forEach((k, i) => { node = node[2][k]; names.push([node[0], path.slice(0, i + 1)]); });
  crumbs.replaceChildren(...names.map(([name, trail]) => {
    const b = make("button", "", name);
    b.onclick = () => { path = trail; show(); };
    return b;
  }));
  tree.replaceChildren();
  const shade = colours.has(node[0]) ? colours.get(node[0]) : 5;
  draw(node, path, [0, 0, tree.clientWidth, tree.clientHeight], shade, 0);
};
grouping.onchange = () => { path = []; show(); };
let width = tree.clientWidth;
show();
new ResizeObserver(() => { if (tree.clientWidth !== width) { width = tree.clientWidth; show(); } }).observe(tree);

/* one tensor */
const detail = k => {
  const t = data.tensors[k], panel = at("detail");
  panel.replaceChildren(make("h3", "", t.name), ...t.facts.map(fact => make("p", "", fact)));
  for (const grid of t.histograms) {
    panel.append(make("p", "muted", grid.title));
    const bars = make("div", "bars"), most = Math.max(...grid.counts), total = grid.counts.reduce((a, b) => a + b, 0);
    grid.codes.forEach((code, j) => {
      const bar = make("i");
      bar.style.height = `${100 * grid.counts[j] / most}%`;
      bar.title = `${code}: ${whole(grid.counts[j])}, ${(100 * grid.counts[j] / total).toFixed(2)} %`;
      bars.append(bar);
    });
    const ends = make("div", "ends");
    const codes = grid.codes, middle = codes[Math.floor(codes.length / 2)];
    ends.append(...[codes[0], middle, codes[codes.length - 1]].map(code => make("span", "", String(code))));
    panel.append(bars, ends);
  }
};
document.querySelectorAll("button[data-tensor]").forEach(b => {
  b.onclick = () => { detail(Number(b.dataset.tensor)); at("detail").scrollIntoView({ block: "nearest" }); };
});

/* tables */
const value = (row, k) => {
  const cell = row.cells[k], given = cell.dataset.value;
  return given === undefined ? cell.textContent : given === "" ? -Infinity : Number(given);
};
document.querySelectorAll("table.sortable").forEach(table => {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, k) => {
    head.querySelector("button").onclick = () => {
      const down = head.getAttribute("aria-sort") ? head.getAttribute("aria-sort") === "ascending"
        : head.className === "number";
      heads.forEach(each => each.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const rows = [...table.tBodies[0].rows], sign = down ? -1 : 1;
      rows.sort((a, b) => {
        const p = value(a, k), q = value(b, k);
        return sign * (typeof p === "number" && typeof q === "number" ? (p > q) - (p < q)
          : String(p).localeCompare(String(q), "en", { numeric: true }));
      });
      table.tBodies[0].append(...rows);
    };
  });
});
document.querySelectorAll("button[data-zoom]").forEach(button => {
  const drawing = document.querySelector(".graph svg"), natural = drawing.viewBox.baseVal;
  button.onclick = () => {
    const zoom = Number(drawing.getAttribute("width")) / natural.width * Number(button.dataset.zoom);
    drawing.setAttribute("width", natural.width * zoom);
    drawing.setAttribute("height", natural.height * zoom);
  };
});
const filter = at("filter");
if (filter) filter.oninput = () => {
  const words = filter.value.toLowerCase().split(/ +/).filter(Boolean), rows = [...at("tensors").tBodies[0].rows];
  rows.forEach(row => {
    const text = row.textContent.toLowerCase();
    row.hidden = !words.every(word => text.includes(word));
  });
  at("shown").textContent = `${whole(rows.filter(row => !row.hidden).length)} of ${whole(rows.length)}`;
};
document.querySelectorAll("select[data-map]").forEach(choice => {
  choice.onchange = () => { at("map").className = "map " + choice.value; };
});
if (data.tensors.length) detail(data.largest);
})();
"""
