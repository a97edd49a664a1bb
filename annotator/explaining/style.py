"""How the page looks: in the light and in the dark, on a telephone and on paper."""

import base64
import hashlib
from typing import Final

# How much of a row is filled, as classes: where no element has a style of its own, the page may forbid any.
_SHARES: Final = "".join(f".share-{percent} {{ --part: {percent}%; }}\n" for percent in range(101))

STYLE: Final = (
    _SHARES
    + """
:root { color-scheme: light dark; --paper: #fff; --ink: #1b1f24; --quiet: #57606a; --line: #d0d7de; --bar: #d8e4f2;
  --good: #1a6b35; --bad: #a3281c; --accent: #1f5fa8; }
@media (prefers-color-scheme: dark) { :root { --paper: #14171b; --ink: #e4e7eb; --quiet: #a5adb8; --line: #3a424c;
  --bar: #2c3f57; --good: #6fcf8d; --bad: #ff9a8a; --accent: #7db4f5; } }
* { box-sizing: border-box; }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 64rem;
  margin: 0 auto; padding: 1rem; }
h1, h2, h3 { line-height: 1.25; overflow-wrap: anywhere; } h1 { font-size: 1.6rem; } h2 { font-size: 1.3rem; }
h3 { font-size: 1.05rem; margin: 1.6rem 0 .4rem; } p { margin: .4rem 0; } a { color: var(--accent); }
article, footer { border-top: 2px solid var(--line); margin-top: 2.5rem; padding-top: .5rem; }
.lead { font-size: 1.15rem; overflow-wrap: anywhere; } .known { color: var(--good); }
.facts, .help { display: grid; grid-template-columns: max-content 1fr; gap: .1rem 1rem; margin: .8rem 0; }
dt { color: var(--quiet); } dd { margin: 0; overflow-wrap: anywhere; } li { overflow-wrap: anywhere; }
.wide { overflow-x: auto; margin: .8rem 0; } table { border-collapse: collapse; font-size: .95rem; }
caption { text-align: left; color: var(--quiet); padding-bottom: .3rem; }
th, td { text-align: left; vertical-align: top; padding: .2rem 1.1rem .2rem 0; border-bottom: 1px solid var(--line); }
tbody th { font-weight: 400; } .reaches th, .reaches td { font-weight: 650; }
.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; } thead .n { white-space: normal; }
.plot { margin: .4rem 0; max-width: 40rem; } .plot svg { width: 100%; height: auto; display: block; }
svg text { fill: var(--quiet); font-size: 13px; } .grid { stroke: var(--line); } .curve { fill: none;
  stroke: var(--accent); stroke-width: 2.5; } .threshold { stroke: var(--bad); stroke-width: 2; stroke-dasharray: 6 4; }
.nearest { fill: var(--ink); } .second { fill: var(--paper); stroke: var(--ink); stroke-width: 2; }
figcaption { font-size: .87rem; overflow-wrap: anywhere; }
.faces { list-style: none; padding: 0; display: grid; grid-template-columns: repeat(auto-fill, minmax(11rem, 1fr));
  gap: 1.2rem; }
.faces figure { margin: 0; break-inside: avoid; } .faces img, .none { width: 112px; height: 112px; border-radius: 4px;
  display: block; margin-bottom: .3rem; }
.none { display: grid; place-items: center; text-align: center; border: 1px dashed var(--line); font-size: .8rem; }
.use { font-weight: 650; } .used { color: var(--good); } .too_small, .too_blurred { color: var(--bad); }
.parts { display: grid; grid-template-columns: max-content 1fr; gap: 2px .6rem; margin: .3rem 0 0; font-size: .82rem; }
.parts dd { background: linear-gradient(var(--bar), var(--bar)) 0 / var(--part) 100% no-repeat; padding-left: .3rem;
  max-width: 6rem; font-variant-numeric: tabular-nums; }
code { font-size: .82rem; }
@media (max-width: 34rem) { .help { grid-template-columns: 1fr; } .help dd { margin-bottom: .4rem; }
  .faces { grid-template-columns: repeat(auto-fill, minmax(8.5rem, 1fr)); gap: .9rem; } }
@media print { :root { color-scheme: light; --paper: #fff; --ink: #000; --quiet: #444; --line: #999; --bar: #ccc;
  --good: #000; --bad: #000; --accent: #000; } body { font-size: 11pt; max-width: none; padding: 0; }
  h2, h3, h3 + p { break-after: avoid; } .wide { overflow: visible; } .plot, tr, .facts { break-inside: avoid; }
  .parts dd { print-color-adjust: exact; } }
"""
)

POLICY: Final = (
    "default-src 'none'; img-src data:; "
    f"style-src 'sha256-{base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()}'"
)
"""Nothing is fetched, nothing runs, and no other style counts, whatever a name or an address has smuggled in."""
