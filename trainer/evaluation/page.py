"""What the pages of evaluation and comparison have in common: frame, tables, numbers with intervals."""

import base64
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from typing import Final

from trainer.doctor.report import thumbnail

_STYLE: Final = """
:root { color-scheme: light dark; --line: #8884; --good: #2e7d32; --bad: #c0392b; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 76rem; margin: 2rem auto; padding: 0 1rem; }
h1, h2 { line-height: 1.2; } h2 { margin-top: 2.5rem; }
table { border-collapse: collapse; display: block; overflow-x: auto; } td.n { white-space: nowrap; }
td, th { padding: .2rem .9rem .2rem 0; border-bottom: 1px solid var(--line); }
th { text-align: left; vertical-align: bottom; } .n { text-align: right; font-variant-numeric: tabular-nums; }
small { opacity: .7; } .good { color: var(--good); } .bad { color: var(--bad); }
.plots, .pictures { display: flex; flex-wrap: wrap; gap: 1rem; } figure { margin: .3rem 0; }
svg { max-width: 100%; height: auto; }
figure img { height: 112px; display: block; border-radius: 3px; }
figcaption { font-size: 12px; opacity: .75; max-width: 16rem; overflow-wrap: anywhere; }
"""

MORE: Final = "…"


def page(title: str, parts: Iterable[str]) -> str:
    """Return a whole page."""
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body>'
        f"<h1>{escape(title)}</h1>{''.join(parts)}</body></html>\n"
    )


def table(header: Sequence[str], rows: Iterable[Sequence[str]], *, words: int = 1) -> str:
    """Return a table; its cells are HTML.

    Args:
        header: plain text.
        rows: cells.
        words: so many first columns hold words, the others numbers.

    """
    kinds = ["" if column < words else " class=n" for column in range(len(header))]
    heads = "".join(f"<th{kind}>{escape(text)}</th>" for text, kind in zip(header, kinds, strict=True))
    body = "".join(
        f"<tr>{''.join(f'<td{kind}>{cell}</td>' for cell, kind in zip(row, kinds, strict=True))}</tr>" for row in rows
    )
    return f"<table><tr>{heads}</tr>{body}</table>"


def percent(interval: Sequence[float] | None, *, digits: int = 1) -> str:
    """Return a share with its interval, in per cent.

    >>> percent([0.9, 0.8, 0.95])
    '90.0 <small>80.0 to 95.0</small>'
    """
    if interval is None:
        return "<small>too few</small>"
    value, low, high = (f"{100 * number:.{digits}f}" for number in interval)
    return f"{value} <small>{low} to {high}</small>"


def figure(path: Path | None, caption: str) -> str:
    """Return a picture with its caption; only the caption where the picture cannot be read."""
    content = thumbnail(path, None) if path is not None else None
    told = f"<figcaption>{escape(caption)}</figcaption>"
    if content is None:
        return f"<figure>(no picture){told}</figure>"
    coded = base64.b64encode(content).decode("ascii")
    return f'<figure><img alt="{escape(caption)}" src="data:image/jpeg;base64,{coded}">{told}</figure>'
