"""Why a person or a picture is refused. Strict: a good picture too few costs less than a wrong one."""

import datetime as dt
import re
import unicodedata
from collections.abc import Iterator, Sequence
from typing import Final

from trainer.collect import licences
from trainer.collect.commons import CommonsFile
from trainer.collect.dates import ADULT_YEARS, is_adult
from trainer.collect.wikidata import Item

MIN_SIDE_PX: Final = 160
MAX_ORIGINAL_PX: Final = 500_000_000
PICTURE_MIMES: Final = frozenset({"image/jpeg", "image/png", "image/webp", "image/tiff"})

# What is no photograph of the living person, by words of file name, categories, description and captions, in the
# languages that are frequent at Commons. Accents are taken off before they are looked for.
_KINDS: Final = {
    "a statue, bust or figure": r"statues?|sculptures?|sculpted|busts?|effig(y|ies)|figurines?|dolls? of|mannequins?|"
    r"statua|statuen?|estatuas?|escultura|skulptur(en)?|bueste|buste|busto|standbeeld|puppets? of|action figures?|"
    r"памятник|статуя|бюст",
    "a wax figure": r"wax ?works?|wax (figures?|museums?|models?|statues?)|(of|in) wax|tussauds?|wachsfigur(en)?|"
    r"figuras? de cera|museo de cera|musee grevin|grevin|panoptikum|wassenbeeld",
    "a grave or memorial": r"graves?|gravestones?|gravesites?|tomb(s|stones?)?|headstones?|cemeter(y|ies)|mausoleums?|"
    r"burials?|funerals?|memorials?|monuments?|plaques?|grab(er|stein)?|grabstatte|friedhof|tombe|cimetiere|tumba|"
    r"cementerio|tomba|cimitero|могила|walk of fame stars?|handprints?|footprints?",
    "a look-alike or somebody playing the person": r"look[ -]?a ?likes?|lookalikes?|impersonators?|impersonat\w+|"
    r"doppelgangers?|sosias?|cosplay(ers?|ing)?|tribute (acts?|artists?|bands?)|dressed as|costumed? as|"
    r"body doubles?|stunt doubles?|imitators?",
    "generated or manipulated": r"ai[ -]generated|generated (by|with|using) \w+|artificial intelligence|midjourney|"
    r"stable diffusion|dall[ -]?e|deep ?fakes?|neural network|synthetic (images?|faces?|portraits?)|"
    r"photomontages?|photoshopped|composite images?|morph(s|ed|ing)?|upscaled (with|by|using)|face ?swaps?|"
    r"colou?ri[sz]ed (with|by|using) ai|ai[ -](enhanced|upscaled|colou?ri[sz]ed)|3d (models?|renders?|renderings?)|cgi",
    "a drawing, painting or print": r"paintings?|drawings?|caricatures?|cartoons?|murals?|graffiti|street art|"
    r"illustrations?|sketch(es)?|portrait painting|engravings?|lithographs?|woodcuts?|posters?|postage stamps?|"
    r"stamps of|coins?|medals? depicting|fan ?art|vector|silhouettes?|dibujos?|pinturas?|zeichnung(en)?|gemalde|"
    r"karikatur(en)?|peintures?|dessins?|logos?|signatures?|autographs? of|stencils?",
}
_PATTERNS: Final = {kind: re.compile(rf"(?<!\w)({words})(?!\w)") for kind, words in _KINDS.items()}


def refused_person(item: Item, today: dt.date) -> str | None:
    """Return why nothing is collected of somebody, None where she is an adult public figure."""
    if not item.is_human:
        return "not a human by Wikidata (P31)"
    if item.born is None:
        return "no date of birth, or a vague one (P569): it is not sure that the person is an adult"
    if not is_adult(item.born, today):
        return f"under {ADULT_YEARS} today"
    if not item.has_occupation:
        return "no occupation (P106): not known as a public figure"
    if item.category is None and not item.pictures:
        return "no picture (P18) and no category of Wikimedia Commons"
    return None


def refused_file(file: CommonsFile, item: Item, today: dt.date) -> str | None:
    """Return why a file is not fetched, None where it may be; the first reason that holds."""
    return next(_reasons(file, item, today), None)


def _reasons(file: CommonsFile, item: Item, today: dt.date) -> Iterator[str]:
    if file.mime not in PICTURE_MIMES:
        yield f"no photograph by its format ({file.mime[:40] or 'unknown'})"
    if file.is_non_free:
        yield "marked as non-free"
    if not licences.is_allowed(file.licence_code, file.licence_name):
        yield f"licence not on the list ({file.licence_name[:60] or file.licence_code[:60] or 'none given'})"
    if licences.needs_author(file.licence_code, file.licence_name) and not file.author:
        yield "no author, whom its licence asks to name"
    yield from _wrong_kinds(file, item.names)
    yield from _wrong_time(file, item, today)
    if min(file.width_px, file.height_px) < MIN_SIDE_PX:
        yield f"smaller than {MIN_SIDE_PX} pixels"
    if file.width_px * file.height_px > MAX_ORIGINAL_PX:
        yield "larger than a photograph is"
    if not file.picture_url:
        yield "no address of a picture"


def _wrong_kinds(file: CommonsFile, names: Sequence[str]) -> Iterator[str]:
    texts = [file.title.removeprefix("File:"), *file.categories, file.description, *file.captions]
    said = " | ".join(_without(folded(text), names) for text in texts)
    for kind, pattern in _PATTERNS.items():
        found = pattern.search(said)
        if found:
            yield f"{kind} (by the word «{found[0]}»)"


def _without(text: str, names: Sequence[str]) -> str:
    """Take the person's own full names out: Ruby Wax and Rupert Graves have photographs, too."""
    for name in sorted(map(folded, names), key=len, reverse=True):
        if " " in name:  # a single word that anybody has added to the names may not take a reason away
            text = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", " ", text)
    return text


def _wrong_time(file: CommonsFile, item: Item, today: dt.date) -> Iterator[str]:
    if not file.taken:
        yield "no date: it is not sure that the person was an adult"
        return
    earliest = min(one.earliest for one in file.taken)
    if earliest > today:
        yield "a date in the future"
    if item.born is None or not is_adult(item.born, earliest):
        yield f"perhaps taken before the person was {ADULT_YEARS} ({earliest.year})"


def folded(text: str) -> str:
    """Return a text for comparing: no accents, no case, underscores and separators as spaces.

    >>> folded("Beyoncé_Knowles-Carter")
    'beyonce knowles-carter'
    """
    plain_letters = "".join(
        letter for letter in unicodedata.normalize("NFKD", text) if not unicodedata.combining(letter)
    )
    return " ".join(plain_letters.casefold().replace("_", " ").split())
