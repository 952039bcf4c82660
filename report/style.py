"""The page's style sheet: one column, system fonts, light and dark by the reader's preference."""

from __future__ import annotations

STYLE = """
:root { color-scheme: light dark;
  --paper: #ffffff; --ink: #1b1f24; --muted: #5d6671; --line: #e3e7ec; --panel: #f6f8fa;
  --a: #2463b4; --b: #c8702a; --c: #3f8f5b; --d: #8a56b8; --e: #b23a62; --f: #6f7780; }
@media (prefers-color-scheme: dark) { :root {
  --paper: #14171b; --ink: #e6e9ed; --muted: #98a2ae; --line: #2c323a; --panel: #1c2127;
  --a: #6ca6ee; --b: #e59a5c; --c: #74c08f; --d: #b793dd; --e: #e0799a; --f: #a5adb7; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.55 system-ui, "Segoe UI", Roboto, "Helvetica Neue", sans-serif; }
main { max-width: 960px; margin: 0 auto; padding: 40px 20px 80px; }
h1 { font-size: 28px; line-height: 1.25; font-weight: 650; margin: 4px 0 6px; letter-spacing: -0.01em; }
h2 { font-size: 21px; font-weight: 650; margin: 56px 0 8px; padding-top: 20px;
  border-top: 1px solid var(--line); letter-spacing: -0.005em; }
h3 { font-size: 16px; font-weight: 650; margin: 28px 0 6px; }
p { max-width: 74ch; margin: 8px 0 12px; }
.muted, figcaption { color: var(--muted); }
.overline { color: var(--muted); font-size: 13px; letter-spacing: 0.06em; text-transform: uppercase; margin: 0; }
.digest { color: var(--muted); font-size: 13px; overflow-wrap: anywhere; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(200px, 1fr)); gap: 12px; margin: 24px 0 8px; }
.tile { background: var(--panel); border: 1px solid var(--line); border-radius: 8px; padding: 14px 16px; }
.tile b { display: block; font-size: 24px; font-weight: 650; font-variant-numeric: tabular-nums; line-height: 1.3; }
.tile span { display: block; color: var(--muted); font-size: 13.5px; line-height: 1.4; }
.meter { height: 6px; border-radius: 3px; background: var(--line); margin-top: 8px; overflow: hidden; }
.meter i { display: block; height: 100%; background: var(--a); }
.scroll { overflow-x: auto; margin: 12px 0; }
table { border-collapse: collapse; width: 100%; font-size: 14px; font-variant-numeric: tabular-nums; }
th { text-align: left; font-weight: 600; color: var(--muted); white-space: nowrap; vertical-align: bottom; }
th, td { padding: 5px 12px 5px 0; border-bottom: 1px solid var(--line); }
th.number, td.number { text-align: right; padding: 5px 0 5px 16px; white-space: nowrap; }
td:first-child { white-space: nowrap; }
tbody tr:hover td { background: var(--panel); }
tfoot td { font-weight: 650; border-top: 2px solid var(--line); border-bottom: 0; }
details { margin: 10px 0; }
summary { cursor: pointer; color: var(--a); font-size: 15px; }
pre { background: var(--panel); border: 1px solid var(--line); border-radius: 8px; padding: 14px 16px; overflow-x: auto;
  font: 13px/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
figure { margin: 16px 0; }
svg { display: block; width: 100%; height: auto; }
svg text { fill: var(--ink); font-size: 12.5px; font-variant-numeric: tabular-nums; }
svg text.tick, svg text.axis, svg text.behind { fill: var(--muted); }
svg text.strong { font-weight: 650; }
svg .grid { stroke: var(--line); }
svg .join { stroke: var(--muted); stroke-width: 2; opacity: 0.5; }
svg .equal { stroke: var(--muted); stroke-dasharray: 5 4; }
svg .limit { stroke: var(--muted); stroke-dasharray: 2 4; }
svg .a { fill: var(--a); stroke: var(--a); } svg .b { fill: var(--b); stroke: var(--b); }
svg .c { fill: var(--c); stroke: var(--c); } svg .d { fill: var(--d); stroke: var(--d); }
svg .e { fill: var(--e); stroke: var(--e); } svg .f { fill: var(--f); stroke: var(--f); }
svg rect.a, svg circle.a, svg circle.b, svg circle.c, svg circle.d, svg circle.e, svg circle.f { stroke: none; }
.tag { font-size: 13px; font-weight: 650; white-space: nowrap; } .tag.supports { color: var(--c); }
.tag.falsifies { color: var(--e); } .tag.undecided { color: var(--muted); }
svg .point { opacity: 0.75; }
svg .curve { fill: none; stroke-width: 2; }
svg .ring { fill: none; stroke: var(--ink); stroke-width: 2; }
@media print { details { display: none; } }
"""
