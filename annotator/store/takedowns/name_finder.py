"""A person's names within texts: however they are written, alone, in sentences, in names of files and in addresses."""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

from annotator.recognition.tombstone import folded, plain_name, without_marks

GONE: Final = "[taken down]"
"""What stands in place of a name."""

# What may stand between two words of a name: as much space as there is, a few other signs. No slash and no quotation
# mark, which divide what has nothing to do with each other.
_BETWEEN: Final = r"(?:[\s_+-]+|[\s_+.,()&'’·–—\u00ad\u200b-\u200d-]{1,4})"  # noqa: RUF001 - as people write them
_COMMA: Final = r"[\s_+]*,[\s_+]*"
_MOST_OF_AN_ENDING: Final = 5  # letters: .gif, .jpeg, .webm
_LETTER: Final = r"[^\W\d_]"
_LEAST_OF_ONE_WORD: Final = 8  # letters: hardly anybody else's name is written like this


@dataclass(frozen=True, slots=True)
class _Reading:
    """A way in which letters are escaped.

    Attributes:
        escapes: what stands for one letter.
        decode: gives the letter.

    """

    escapes: re.Pattern[str]
    decode: Callable[[str], str]

    def read(self, text: str) -> str:
        """Return what a text says."""
        return self.escapes.sub(lambda found: self.decode(found[0]), text)

    def letters(self, text: str) -> Iterator[tuple[int, str]]:
        """Yield all letters that a text says, each with the place where it, or what stands for it, begins."""
        place = 0
        for found in self.escapes.finditer(text):
            yield from enumerate(text[place : found.start()], start=place)
            yield found.start(), self.decode(found[0])
            place = found.end()
        yield from enumerate(text[place:], start=place)


def _percent_decoded(escaped: str) -> str:
    octets = bytes.fromhex(escaped.replace("%", ""))
    try:
        return octets.decode()
    except UnicodeDecodeError:
        return octets.decode("latin-1")


_AS_IT_IS: Final = _Reading(re.compile(r"(?!)"), str)
_ESCAPED: Final = (
    # JSON
    _Reading(
        re.compile(
            r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u[0-9a-fA-F]{4}|\\[bfnrt\"\\/]",
        ),
        lambda escaped: str(json.loads(f'"{escaped}"')),
    ),
    # an address
    _Reading(
        re.compile(r"%[0-7][0-9a-fA-F]|%[c-fC-F][0-9a-fA-F](?:%[89abAB][0-9a-fA-F]){1,3}|%[89a-fA-F][0-9a-fA-F]"),
        _percent_decoded,
    ),
)


@dataclass(frozen=True, slots=True)
class NameFinder:
    """Finds a person's names and Knowledge Graph ids in texts.

    Names of several words are found within sentences and paths, too, whatever case and accents they are written with:
    with a few signs between the words, with the last ones first and a comma («Byron, Ada»), as one word with capitals
    (AdaByron), and, from eight letters on, as one word in small letters in names of files, addresses and handles. A
    name of a single word is not looked for there: «Prince» and «Pink» are words of other sentences.

    Attributes:
        plain: all names, without case, accents and spacing: they are found where a text is nothing else.
        parts: of each name, or id, in letters of ASCII: what all texts of ASCII have in which it is, small.
        pattern: finds in texts without case and accents.
        capitals: finds in texts without accents: what begins with capitals needs no space.

    """

    plain: frozenset[str]
    parts: frozenset[str]
    pattern: re.Pattern[str]
    capitals: re.Pattern[str]

    @classmethod
    def of(cls, names: Sequence[str], kg_mids: Sequence[str] = ()) -> Self:
        """Return what finds these names and ids (``/m/…``)."""
        long = sorted(
            {words for words in map(_words_of, names) if len(words) > 1}, key=lambda one: (-len(str(one)), one)
        )
        ways = [way for words in long for way in _ways_to_write(words)]
        ways += [rf"/(?:(?<![\w/]/)|(?<=/kg/)){re.escape(one[1:])}(?!\w)" for one in sorted(kg_mids) if one[:1] == "/"]
        # As it stands in names of folders and labels (annotator.recognition.labels).
        ways += [re.escape(f"[{one.strip('/').replace('/', '.')}]") for one in sorted(kg_mids)]
        capitals = [way for words in long for way in _with_capitals(words)]
        # Of a name that is signs only («!!!») nothing is left: it would be found in whatever is empty.
        plain = frozenset(plain_name(name) for name in names) - {""}
        longest = [max(_ascii_pieces(folded(one)), key=len, default="") for one in (*names, *kg_mids)]
        return cls(
            plain,
            frozenset(longest) - {""},
            re.compile("|".join(ways) or "(?!)"),
            re.compile("|".join(capitals) or "(?!)"),
        )

    def is_alone(self, text: str) -> bool:
        """Say whether a text is a name and nothing else, as a folder or a label has it.

        >>> finder = NameFinder.of(["Ada Lovelace", "Ada"])
        >>> [finder.is_alone(one) for one in ("ada_lovelace", "Ada_Lovelace_[m.0ada]", "ADA", "Ada's")]
        [True, True, True, False]
        """
        return plain_name(text.partition("_[")[0]) in self.plain

    def is_within(self, text: str) -> bool:
        r"""Say whether a text has a name of several words in it, or an id; a text may be JSON, or an address.

        >>> finder = NameFinder.of(["Ada Lovelace", "Ada", "Zoë Ek"], ["/m/0ada"])
        >>> [finder.is_within(one) for one in ("of Ada-LOVELACE.", "/x/ada_lovelace.gif", "Ada", "Nada Lovelaces")]
        [True, True, False, False]
        >>> [finder.is_within(one) for one in (r'"Zo\u00EB Ek"', r'"\nAda Lovelace"', r"C:\Users\Ada")]
        [True, True, False]
        >>> [finder.is_within(one) for one in ("Ada.Lovelace.1080p.mp4", "AdaLovelaceLaughs", "Lovelace, Ada.gif")]
        [True, True, True]
        >>> [finder.is_within(one) for one in ("https://g.co/kg/m/0ada", "/m/0adam", "Kim_[m.0ada]")]
        [True, False, True]
        >>> finder = NameFinder.of(["Li Na"])
        >>> [finder.is_within(one) for one in ("LINA", "PauLINA", "LINA_HEADEY/lina.gif", "LI NA", "LiNa.gif")]
        [False, False, False, True, True]
        """
        said = (one.read(text) for one in _ESCAPED if one.escapes.search(text))
        return any(self._is_in(one) for one in (text, *said))

    def without(self, value: Any) -> Any:  # noqa: ANN401 - a JSON value
        """Return a JSON value with all names in it replaced, in keys, too.

        >>> finder = NameFinder.of(["Ada Lovelace", "Ada"])
        >>> finder.without(["ADA", "ada.gif", "Lovelace, Ada.gif", {"/x/Ada%20Lovelace": "of Adá  Lovelace!"}])
        ['[taken down]', '[taken down].gif', '[taken down].gif', {'/x/[taken down]': 'of [taken down]!'}]
        """
        if isinstance(value, str):
            return self._without_names(value)
        if isinstance(value, list):
            return [self.without(one) for one in value]
        if isinstance(value, dict):
            return {self.without(key): self.without(one) for key, one in value.items()}
        return value

    def _is_in(self, said: str) -> bool:
        small = folded(said)
        if small.isascii() and not any(part in small for part in self.parts):
            return False
        return bool(self.pattern.search(small) or self.capitals.search(without_marks(said)))

    def _without_names(self, text: str) -> str:
        if self.is_alone(text):
            return GONE
        stem, dot, ending = text.rpartition(".")
        if dot and len(ending) <= _MOST_OF_AN_ENDING and ending.isalnum() and self.is_alone(stem):
            return GONE + dot + ending
        if self.is_within(text):
            for reading in (_AS_IT_IS, *_ESCAPED):
                text = _replaced(text, self.pattern, reading, folded)
                text = _replaced(text, self.capitals, reading, without_marks)
        return text


def _replaced(text: str, pattern: re.Pattern[str], reading: _Reading, form: Callable[[str], str]) -> str:
    """Return a text with all that is found in its other form replaced where it stands."""
    places, shown = [], []
    for place, letter in reading.letters(text):
        for one in form(letter):  # of an accent that stands alone nothing is left, of some letters several come
            places.append(place)
            shown.append(one)
    places.append(len(text))
    parts, done = [], 0
    for found in pattern.finditer("".join(shown)):
        start, end = places[found.start()], places[found.end()]
        parts += [text[done:start], GONE]
        done = end
    return "".join(parts) + text[done:]


def _words_of(name: str) -> tuple[tuple[str, ...], ...]:
    """Return the words of a name, each as its runs of letters and digits, without case and accents.

    >>> _words_of("Shaquille O'Neal"), _words_of("Simon & Garfunkel")
    ((('shaquille',), ('o', 'neal')), (('simon',), ('garfunkel',)))
    """
    words = (_pieces(word) for word in re.split(r"[\s_]+", folded(name)))
    return tuple(word for word in words if word)


def _pieces(text: str) -> tuple[str, ...]:
    return tuple(re.findall(r"[^\W_]+", text))


def _ascii_pieces(text: str) -> list[str]:
    return [piece for piece in _pieces(text) if piece.isascii()]


def _ways_to_write(words: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield patterns for a name in small letters."""
    one_word = "".join(piece for word in words for piece in word)
    spaced = [rf"{_BETWEEN}?".join(word) for word in words]
    yield _whole(one_word, _BETWEEN.join(spaced))
    for place in range(1, len(words)):
        last, first = words[place:], words[:place]
        turned = "".join(piece for word in (*last, *first) for piece in word)
        yield _whole(turned, _BETWEEN.join(spaced[place:]) + _COMMA + _BETWEEN.join(spaced[:place]))
    # As one word it may be another one («Li Na», «Lina»): only long ones, in a path, an address or a handle.
    if len(one_word) >= _LEAST_OF_ONE_WORD:
        yield _whole(one_word, rf"{one_word}(?:(?<=[/\\@#]{one_word})|(?=\S*[./\\]\w))")


def _whole(plain: str, pattern: str) -> str:
    """Let a pattern find nothing within a longer word, or within a longer number.

    Args:
        plain: what it finds, without what is between words.
        pattern: begins with the first letter of that. It is told to re first of all, which skips to it then.

    """
    first = plain[0]
    before = _LETTER if first.isalpha() else r"[^\W_]"
    after = _LETTER if plain[-1].isalpha() else r"[^\W_]"
    return f"{first}(?<!{before}{first}){pattern[1:]}(?!{after})"


def _either_case_first(piece: str) -> str:
    return f"[{piece[0].upper()}{piece[0]}]{piece[1:]}"


def _with_capitals(words: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield the pattern for a name whose words begin with capitals, so that these may be written without space.

    What follows a capital is small: else «Li Na» would be in «PauLINA».
    """
    if not all(word[0][0].upper() != word[0][0] or word[0][0].isdigit() for word in words):
        return
    first = words[0][0][0].upper()
    rests = [rf"{_BETWEEN}?".join([word[0][1:], *map(_either_case_first, word[1:])]) for word in words]
    shown = [word[0][0].upper() + rest for word, rest in zip(words, rests, strict=True)]
    before = r"[^\W\d_a-z]" if first.isalpha() else r"[^\W_]"
    after = r"[^\W\d_A-Z]" if words[-1][-1][-1].isalpha() else r"\d|[^\W\d_A-Z]"
    pattern = rf"{_BETWEEN}?".join(shown)
    yield f"{first}(?<!{before}{first}){pattern[len(first) :]}(?!{after})"
