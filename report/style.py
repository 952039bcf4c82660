"""The pages' style sheet: one column, one scale of letters, system fonts, light and dark by the reader's preference.

Strategy: letters are 13, 14, 16, 20 and 28 pixels, distances multiples of 4. A table that is wider than its room keeps
its first column in sight, and shadows at its edges say that it scrolls. Of a drawing with two layouts the window's
width chooses one.
"""

from __future__ import annotations

NARROW = 720  # pixels: below, drawings are shown in their narrow layout

COLOURS = """
:root { color-scheme: light dark;
  --paper: #ffffff; --ink: #1b1f24; --muted: #59626d; --line: #e1e5ea; --panel: #f6f8fa; --shade: #00000026;
  --a: #2463b4; --b: #b8621f; --c: #2f7d4c; --d: #7f4cae; --e: #b23a62; --f: #646c75; }
@media (prefers-color-scheme: dark) { :root {
  --paper: #14171b; --ink: #e6e9ed; --muted: #9aa4b0; --line: #2c323a; --panel: #1c2127; --shade: #000000b0;
  --a: #6ca6ee; --b: #e59a5c; --c: #74c08f; --d: #b793dd; --e: #e88ba8; --f: #a5adb7; } }
"""

MARKS = """
svg text { fill: var(--ink); font-size: 12.5px; font-variant-numeric: tabular-nums; }
svg text.tick, svg text.axis, svg text.behind { fill: var(--muted); }
svg text.strong { font-weight: 650; }
svg text.name, svg text.label { paint-order: stroke; stroke: var(--paper); stroke-width: 3px; stroke-linejoin: round; }
svg .grid { stroke: var(--line); }
svg .zero { stroke: var(--muted); }
svg .join { stroke: var(--muted); stroke-width: 2; opacity: 0.5; }
svg .equal { stroke: var(--muted); stroke-dasharray: 5 4; }
svg .limit { stroke: var(--muted); stroke-dasharray: 2 4; }
svg .a { fill: var(--a); stroke: var(--a); } svg .b { fill: var(--b); stroke: var(--b); }
svg .c { fill: var(--c); stroke: var(--c); } svg .d { fill: var(--d); stroke: var(--d); }
svg .e { fill: var(--e); stroke: var(--e); } svg .f { fill: var(--f); stroke: var(--f); }
svg .better { fill: var(--c); stroke: var(--c); } svg .worse { fill: var(--e); stroke: var(--e); }
svg .open { fill: var(--f); stroke: var(--f); }
svg rect.a, svg circle { stroke: none; }
svg .point { opacity: 0.85; }
svg .curve { fill: none; stroke-width: 2; opacity: 0.8; }
svg .error, svg .range { fill: none; stroke-width: 1.5; }
svg .range { stroke: var(--ink); } svg .range.better { stroke: var(--c); } svg .range.worse { stroke: var(--e); }
svg .range.open { stroke: var(--f); }
svg rect.box { fill-opacity: 0.4; stroke: var(--paper); }
svg rect.group { fill: var(--muted); fill-opacity: 0.14; }
svg .leader { stroke: var(--muted); opacity: 0.7; }
svg .ring { fill: none; stroke: var(--ink); stroke-width: 2; }
"""

DRAWING_STYLE = COLOURS + MARKS  # of a drawing that is a document of its own

PAGE = """
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); -webkit-text-size-adjust: 100%;
  font: 16px/1.55 system-ui, "Segoe UI", Roboto, "Helvetica Neue", sans-serif; }
main { max-width: 968px; margin: 0 auto; padding: 40px 24px 80px; }
h1 { font-size: 28px; line-height: 1.25; font-weight: 650; margin: 4px 0 8px; letter-spacing: -0.01em;
  overflow-wrap: anywhere; }
h2 { font-size: 20px; line-height: 1.3; font-weight: 650; margin: 56px 0 8px; padding-top: 20px;
  border-top: 1px solid var(--line); letter-spacing: -0.005em; }
h3 { font-size: 16px; line-height: 1.4; font-weight: 650; margin: 28px 0 8px; }
p { max-width: 74ch; margin: 8px 0 12px; overflow-wrap: anywhere; }
ul { padding-left: 24px; } li { margin: 4px 0; max-width: 74ch; }
.muted, figcaption { color: var(--muted); }
figcaption { font-size: 14px; margin-top: 4px; }
.overline { color: var(--muted); font-size: 13px; letter-spacing: 0.04em; margin: 0; }
.lede { font-size: 20px; line-height: 1.4; margin: 0 0 16px; max-width: none; }
.digest { color: var(--muted); font-size: 13px; overflow-wrap: anywhere; }
.facts { display: grid; grid-template-columns: max-content 1fr; gap: 4px 20px; margin: 16px 0; font-size: 14px; }
code { white-space: nowrap; } .command { white-space: normal; }
.command span { display: inline-block; max-width: 100%; overflow-wrap: anywhere; }
.facts dt { color: var(--muted); }
.facts dd { margin: 0; overflow-wrap: anywhere; min-width: 0; font-variant-numeric: tabular-nums; }
code, pre, .hex { font: 13px/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(168px, 1fr)); gap: 12px; margin: 24px 0 8px; }
.tile { background: var(--panel); border: 1px solid var(--line); border-radius: 8px; padding: 12px 16px; }
.tile b { display: block; font-size: 20px; font-weight: 650; font-variant-numeric: tabular-nums; line-height: 1.4; }
.tile span { display: block; color: var(--muted); font-size: 13px; line-height: 1.4; }
.meter { height: 6px; border-radius: 3px; background: var(--line); margin-top: 8px; overflow: hidden; }
.meter i { display: block; height: 100%; background: var(--a); }
.scroll { overflow-x: auto; margin: 12px 0; scrollbar-width: thin; scrollbar-color: var(--muted) transparent;
  background: linear-gradient(to right, var(--paper) 50%, transparent) left / 24px 100% no-repeat local,
    linear-gradient(to left, var(--paper) 50%, transparent) right / 24px 100% no-repeat local,
    linear-gradient(to right, var(--shade), transparent) left / 14px 100% no-repeat scroll,
    linear-gradient(to left, var(--shade), transparent) right / 14px 100% no-repeat scroll; }
table { border-collapse: separate; border-spacing: 0; min-width: min(100%, 520px); font-size: 14px; line-height: 1.45;
  font-variant-numeric: tabular-nums; }
th { text-align: left; font-weight: 600; color: var(--muted); vertical-align: bottom; }
th, td { padding: 6px 0 6px 20px; border-bottom: 1px solid var(--line); }
td { vertical-align: top; }
th:first-child, td:first-child { padding-left: 0; }
th.number, td.number { text-align: right; white-space: nowrap; }
th.number { white-space: normal; }
td:first-child:not(.number) { min-width: 196px; }
.scroll td:first-child, .scroll tbody th, .scroll th:first-child { position: sticky; left: 0; z-index: 1;
  background: var(--paper); max-width: 400px; overflow-wrap: break-word; }
tbody tr:hover td, .scroll tbody tr:hover td:first-child { background: var(--panel); }
tfoot td { font-weight: 650; border-top: 1px solid var(--muted); border-bottom: 0; }
details { margin: 12px 0; }
summary { cursor: pointer; color: var(--a); font-size: 14px; }
pre { background: var(--panel); border: 1px solid var(--line); border-radius: 8px; padding: 12px 16px; margin: 12px 0;
  white-space: pre-wrap; overflow-wrap: anywhere; }
figure { margin: 16px 0; }
figure svg { display: block; width: 100%; height: auto; max-width: 920px; }
figure svg.narrow { display: none; max-width: 520px; }
svg.interval { align-self: center; flex: none; width: 132px; height: 18px; max-width: none; }
.better { color: var(--c); } .worse { color: var(--e); }
table.map { width: auto; }
table.map th, table.map td { padding: 4px 9px; text-align: right; border: 2px solid var(--paper); }
table.map thead th { white-space: normal; vertical-align: bottom; max-width: 90px; overflow-wrap: break-word; }
table.map thead th:first-child, table.map tbody th { text-align: left; font-weight: 500; }
table.map b, table.map i { font: inherit; } table.map.bits i, table.map.bytes b { display: none; }
table.map.bits td { background: color-mix(in srgb, var(--a) var(--bits, 0%), var(--panel)); }
table.map.bytes td { background: color-mix(in srgb, var(--a) var(--bytes, 0%), var(--panel)); }
table.map.change td { background: var(--panel); }
table.map td.fewer { background: color-mix(in srgb, var(--c) var(--depth, 0%), var(--panel)); }
table.map td.more { background: color-mix(in srgb, var(--e) var(--depth, 0%), var(--panel)); }
.pair { display: grid; grid-template-columns: 1fr 1fr; gap: 0 24px; } .pair > div { min-width: 0; }
.pair h3 { overflow-wrap: anywhere; margin-top: 12px; }
.pair figure svg.wide { display: none; } .pair figure svg.narrow { display: block; }
table.map tbody tr:hover td { background: color-mix(in srgb, var(--b) 30%, var(--panel)); }
.estimate { display: flex; align-items: baseline; gap: 8px; white-space: nowrap; color: var(--muted); }
.observations { list-style: none; padding: 0; }
.observations li { display: grid; grid-template-columns: 92px 1fr; gap: 4px 16px; max-width: none; margin: 0;
  padding: 10px 0; border-bottom: 1px solid var(--line); font-size: 14px; }
.observations li > div { max-width: 92ch; overflow-wrap: anywhere; }
.tag { font-size: 13px; font-weight: 650; white-space: nowrap; } .tag.supports { color: var(--c); }
.tag.falsifies { color: var(--e); } .tag.undecided { color: var(--muted); }
@media (max-width: NARROWpx) { figure svg.wide { display: none; } figure svg.narrow { display: block; } }
@media (max-width: 600px) { main { padding: 24px 16px 64px; } h1 { font-size: 24px; } .lede { font-size: 16px; }
  h2 { margin-top: 44px; } .tiles { grid-template-columns: repeat(2, 1fr); gap: 8px; } .tile { padding: 8px 12px; }
  .pair { grid-template-columns: 1fr; }
  .facts { grid-template-columns: 1fr; gap: 0; } .facts dt { margin-top: 8px; } .facts dt:first-child { margin-top: 0; }
  th, td { padding-left: 14px; } .observations li { grid-template-columns: 1fr; }
  svg.interval { width: 84px; } .estimate { flex-direction: column; gap: 0; } .estimate svg { align-self: start; }
  .scroll td:first-child, .scroll tbody th, .scroll th:first-child { max-width: 40vw; }
  td:first-child:not(.number) { min-width: 96px; } }
@media print { details { display: none; }
  figure svg.wide { display: block; } figure svg.narrow { display: none; } }
"""

STYLE = COLOURS + MARKS + PAGE.replace("NARROW", str(NARROW))
