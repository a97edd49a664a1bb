"""Files at Wikimedia Commons: the members of a person's category, and what is said of each.

``prop=imageinfo`` with ``extmetadata`` gives author, licence, restrictions, categories and date as the file's page has
them, mostly as HTML (https://commons.wikimedia.org/wiki/Commons:Machine-readable_data,
https://www.mediawiki.org/wiki/API:Imageinfo; at most 50 scaled pictures a question). 960 pixels are a standard width
(https://www.mediawiki.org/wiki/Common_thumbnail_sizes); the address of the picture is taken as it is given. Captions
and dates of structured data are under ``M`` and the page's number (https://commons.wikimedia.org/wiki/Commons:Structured_data).
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from trainer.collect.client import PoliteClient
from trainer.collect.dates import Stretch, of_text, of_wikibase
from trainer.collect.shapes import as_list, as_map, as_text, plain

WIDTH_PX: Final = 960
FILES_PER_REQUEST: Final = 50
MAX_FILES: Final = 2000
"""Of one person; more are not listed."""

_MAX_PAGES: Final = 20
_MAX_SUBCATEGORIES: Final = 40
_IN_YEAR: Final = re.compile(r"\bin ((?:19|20)\d\d)$")


@dataclass(frozen=True, slots=True)
class CommonsFile:
    """A file and what is said of it.

    Attributes:
        title: with ``File:``.
        page_url: its page.
        picture_url: the picture, 960 pixels wide or its own width where that is less.
        width_px: of the original.
        height_px: of the original.
        mime: of the original.
        author: as text; empty where unknown.
        credit: where it comes from, as text.
        licence_code: for machines; empty where there is none.
        licence_name: for people.
        licence_url: where the licence stands.
        is_non_free: whether it is marked as used without a free licence.
        restrictions: other than copyright, e.g. ``personality``.
        categories: its categories.
        description: as text.
        captions: of structured data, in any language.
        taken: the stretches that it may have been taken in, one for each date that is given.

    """

    title: str
    page_url: str
    picture_url: str
    width_px: int
    height_px: int
    mime: str
    author: str
    credit: str
    licence_code: str
    licence_name: str
    licence_url: str
    is_non_free: bool
    restrictions: tuple[str, ...]
    categories: tuple[str, ...]
    description: str
    captions: tuple[str, ...]
    taken: tuple[Stretch, ...]


class Commons:
    """Lists and describes files."""

    def __init__(self, client: PoliteClient) -> None:
        """Take what asks."""
        self._client = client

    def files_of(self, category: str | None, pictures: Sequence[str]) -> Iterator[CommonsFile]:
        """Yield the files of one person: her pictures at Wikidata first, then those of her category.

        Of subcategories only her own are looked at, such as «Jane Doe in 2014» below «Jane Doe»: one level, and only
        those whose names begin with hers.

        Args:
            category: without ``Category:``, or None.
            pictures: file names without ``File:``.

        Raises:
            SourceUnavailableError: the service does not answer.

        """
        titles = [f"File:{name}" for name in pictures if "|" not in name][:FILES_PER_REQUEST]
        seen: set[str] = set()
        if titles:
            yield from self._describe({"titles": "|".join(titles)}, seen)
        if category is None:
            return
        own, below = self._members(category)
        yield from self._pages(own, seen)
        for name in [one for one in below if one.startswith(f"{category} ")][:_MAX_SUBCATEGORIES]:
            if len(seen) >= MAX_FILES:
                return
            yield from self._pages(self._members(name)[0], seen)

    def _pages(self, page_ids: Sequence[int], seen: set[str]) -> Iterator[CommonsFile]:
        for start in range(0, len(page_ids), FILES_PER_REQUEST):
            if len(seen) >= MAX_FILES:
                return
            some = page_ids[start : start + FILES_PER_REQUEST]
            yield from self._describe({"pageids": "|".join(map(str, some))}, seen)

    def _members(self, category: str) -> tuple[list[int], list[str]]:
        """Return the page numbers of a category's files and the names of its subcategories."""
        files: list[int] = []
        below: list[str] = []
        following: Mapping[str, str] = {}
        for _ in range(_MAX_PAGES):
            answer = self._ask(
                {
                    "action": "query",
                    "list": "categorymembers",
                    "cmtitle": f"Category:{category}",
                    "cmtype": "file|subcat",
                    "cmprop": "ids|title",
                    "cmlimit": 500,
                    **following,
                }
            )
            for row in map(as_map, as_list(as_map(answer.get("query")).get("categorymembers"))):
                page_id, title = row.get("pageid"), plain(row.get("title"))
                if title.startswith("Category:"):
                    below.append(title.removeprefix("Category:"))
                elif title.startswith("File:") and type(page_id) is int and page_id > 0:
                    files.append(page_id)
            token = as_text(as_map(answer.get("continue")).get("cmcontinue"))
            if not token or following.get("cmcontinue") == token or len(files) >= MAX_FILES:
                break
            following = {"cmcontinue": token}
        return files[:MAX_FILES], below

    def _describe(self, which: Mapping[str, str], seen: set[str]) -> Iterator[CommonsFile]:
        answer = self._ask(
            {
                "action": "query",
                "prop": "imageinfo",
                "iiprop": "url|size|mime|extmetadata",
                "iiurlwidth": WIDTH_PX,
                "iiextmetadatalanguage": "en",
                "redirects": 1,
                **which,
            }
        )
        pages = [as_map(page) for page in as_list(as_map(answer.get("query")).get("pages"))]
        numbers = [page["pageid"] for page in pages if type(page.get("pageid")) is int and page["pageid"] > 0]
        structured = self._structured(numbers)
        for page in pages:
            title, information = plain(page.get("title")), as_list(page.get("imageinfo"))
            if title.startswith("File:") and information and title not in seen:
                seen.add(title)
                about = structured.get(f"M{page.get('pageid')}", {})
                yield _file(title, as_map(information[0]), as_map(about))

    def _structured(self, page_ids: Sequence[int]) -> Mapping[str, Any]:
        if not page_ids:
            return {}
        ids = "|".join(f"M{number}" for number in page_ids)
        return as_map(self._ask({"action": "wbgetentities", "ids": ids, "props": "labels|claims"}).get("entities"))

    def _ask(self, parameters: Mapping[str, str | int]) -> Mapping[str, Any]:
        return self._client.ask(self._client.services.commons_api, parameters)


def _file(title: str, information: Mapping[str, Any], about: Mapping[str, Any]) -> CommonsFile:
    said = as_map(information.get("extmetadata"))

    def field(name: str) -> object:
        return as_map(said.get(name)).get("value")

    categories = tuple(filter(None, map(plain, as_text(field("Categories")).split("|"))))
    return CommonsFile(
        title=title[:300],
        page_url=as_text(information.get("descriptionurl"))[:1000],
        picture_url=as_text(information.get("thumburl")),
        width_px=_pixels(information.get("width")),
        height_px=_pixels(information.get("height")),
        mime=as_text(information.get("mime")),
        author=plain(field("Artist"))[:500],
        credit=plain(field("Credit"))[:500],
        licence_code=plain(field("License")),
        licence_name=plain(field("LicenseShortName")),
        licence_url=plain(field("LicenseUrl"))[:300],
        is_non_free=as_text(field("NonFree")).lower() in {"true", "1", "yes"} or field("NonFree") is True,
        restrictions=tuple(filter(None, map(plain, as_text(field("Restrictions")).split("|")))),
        categories=categories,
        description=plain(field("ImageDescription"))[:2000],
        captions=tuple(
            filter(None, (plain(as_map(label).get("value"))[:500] for label in as_map(about.get("labels")).values()))
        ),
        taken=tuple(_taken(field("DateTimeOriginal"), categories, about)),
    )


def _taken(original: object, categories: Sequence[str], about: Mapping[str, Any]) -> Iterator[Stretch]:
    """Yield every date that a file is given: of its description, its structured data and its categories."""
    dates = [of_text(original)]
    # Structured data has its statements under ``statements``; older answers have them under ``claims``.
    statements = as_map(about.get("statements")) or as_map(about.get("claims"))
    for claim in as_list(statements.get("P571")):
        value = as_map(as_map(as_map(claim).get("mainsnak")).get("datavalue")).get("value")
        dates.append(of_wikibase(as_map(value)))
    dates += [of_text(found[1]) for name in categories if (found := _IN_YEAR.search(name))]
    yield from (one for one in dates if one is not None)


def _pixels(value: object) -> int:
    return value if type(value) is int and 0 < value < 1_000_000 else 0
