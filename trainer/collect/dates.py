"""Dates as people write them: never more exact than they are.

A date is a stretch from the earliest to the latest day that it can mean. «At least 18 years after birth» compares the
earliest day of a picture with the latest day of a birth.
"""

import calendar
import datetime as dt
import html
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from trainer.collect.shapes import as_text, plain

ADULT_YEARS: Final = 18
_CIRCA_YEARS: Final = 5
_MONTHS: Final = {name.lower(): number for number, name in enumerate(calendar.month_name) if name}
_YEAR, _MONTH, _DAY = 9, 10, 11  # precisions of Wikibase: https://www.mediawiki.org/wiki/Wikibase/DataModel/JSON
_TIME: Final = re.compile(r"\+(\d{4,})-(\d\d)-(\d\d)T")
_ISO: Final = re.compile(r"(?<!\d)(1[89]\d\d|20\d\d)[-:](\d\d)(?:[-:](\d\d))?(?!\d)")
_WRITTEN: Final = re.compile(
    rf"(?:(?P<day>\d{{1,2}})(?:st|nd|rd|th)?\s+)?\b(?P<month>{'|'.join(_MONTHS)})\b"
    r"(?:\s+(?P<late>\d{1,2})(?:st|nd|rd|th)?,)?,?\s+(?P<year>1[89]\d\d|20\d\d)\b",
    re.IGNORECASE,
)
_BARE_YEAR: Final = re.compile(r"(?<![\d-])(1[89]\d\d|20\d\d)(?!\d)")
_VAGUE: Final = re.compile(
    r"\b(before|until|by|prior|unknown|century|upload(ed)?|scanned|digiti[sz]ed)\b", re.IGNORECASE
)
_CIRCA: Final = re.compile(r"\b(circa|ca\.?|c\.|about|around|early|late|probably)(?=\W|\d)", re.IGNORECASE)
_DATETIME: Final = re.compile(r"""datetime=["']([^"']{4,40})["']""")


@dataclass(frozen=True, slots=True)
class Stretch:
    """The days that a date can mean, both inclusive."""

    earliest: dt.date
    latest: dt.date


def of_wikibase(value: Mapping[str, Any]) -> Stretch | None:
    """Return the stretch of a time value of Wikibase; None where it is vaguer than a year.

    >>> of_wikibase({"time": "+1975-07-06T00:00:00Z", "precision": 11})
    Stretch(earliest=datetime.date(1975, 7, 6), latest=datetime.date(1975, 7, 6))
    >>> of_wikibase({"time": "+1975-00-00T00:00:00Z", "precision": 9})
    Stretch(earliest=datetime.date(1975, 1, 1), latest=datetime.date(1975, 12, 31))
    """
    found = _TIME.match(as_text(value.get("time")))
    precision = value.get("precision")
    if not found or not isinstance(precision, int) or precision < _YEAR:
        return None
    month = int(found[2]) if precision >= _MONTH else None
    return _stretch(found[1], month, int(found[3]) if precision >= _DAY else None)


def of_text(text: object) -> Stretch | None:
    """Return the stretch of a date in a description; None where it says none, or only a latest one.

    >>> of_text("2012-05-03 18:44:12").earliest, of_text("3 May 2012, 18:44").latest
    (datetime.date(2012, 5, 3), datetime.date(2012, 5, 3))
    >>> of_text("circa 1995").earliest, of_text("between 1990 and 1999").earliest
    (datetime.date(1990, 1, 1), datetime.date(1990, 1, 1))
    >>> of_text("before 2001"), of_text("20th century"), of_text("")
    (None, None, None)
    """
    written = plain(text)
    if _VAGUE.search(written):
        return None
    found = [stretch for stretch in (*_machine_dates(text), *_written_dates(written)) if stretch is not None]
    if not found:
        return None
    earliest, latest = min(one.earliest for one in found), max(one.latest for one in found)
    if _CIRCA.search(written):
        earliest = dt.date(max(earliest.year - _CIRCA_YEARS, 1), 1, 1)
    return Stretch(earliest, latest)


def years_later(day: dt.date, years: int) -> dt.date:
    """Return the same day some years later; 1 March for 29 February."""
    try:
        return day.replace(year=day.year + years)
    except ValueError:
        return dt.date(day.year + years, 3, 1)


def is_adult(born: Stretch, then: dt.date) -> bool:
    """Return whether somebody is surely 18 on a day.

    >>> is_adult(Stretch(dt.date(1990, 1, 1), dt.date(1990, 12, 31)), dt.date(2008, 6, 1))
    False
    """
    return (
        then.year <= dt.MAXYEAR
        and born.latest.year < dt.MAXYEAR - ADULT_YEARS
        and then >= years_later(born.latest, ADULT_YEARS)
    )


def _machine_dates(text: object) -> list[Stretch | None]:
    return [
        _iso(found)
        for attribute in _DATETIME.findall(html.unescape(as_text(text)))
        for found in _ISO.finditer(attribute)
    ]


def _written_dates(written: str) -> list[Stretch | None]:
    exact = [_iso(found) for found in _ISO.finditer(written)]
    exact += [
        _stretch(found["year"], _MONTHS[found["month"].lower()], _number(found["day"] or found["late"]))
        for found in _WRITTEN.finditer(written)
    ]
    rest = _WRITTEN.sub(" ", _ISO.sub(" ", written))
    return exact + [_stretch(year, None, None) for year in _BARE_YEAR.findall(rest)]


def _iso(found: re.Match[str]) -> Stretch | None:
    return _stretch(found[1], _number(found[2]), _number(found[3]))


def _number(digits: str | None) -> int | None:
    return int(digits) if digits and int(digits) > 0 else None


def _stretch(year: str, month: int | None, day: int | None) -> Stretch | None:
    number = int(year) if len(year) == 4 else 0
    try:
        if number < 1:
            return None
        if month is None:
            return Stretch(dt.date(number, 1, 1), dt.date(number, 12, 31))
        if day is None:
            first = dt.date(number, month, 1)
            return Stretch(first, (first + dt.timedelta(days=31)).replace(day=1) - dt.timedelta(days=1))
        return Stretch(dt.date(number, month, day), dt.date(number, month, day))
    except (ValueError, OverflowError):
        return None
