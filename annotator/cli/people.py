"""``annotator search`` and ``identities``."""

from collections.abc import Iterator, Mapping
from datetime import UTC
from shlex import quote
from typing import Any, Final, Literal

from annotator.cli.database import open_store
from annotator.cli.output import out, print_csv, print_json_line, print_table, remark
from annotator.results import CONFIDENCE_DIGITS, confidence_in_words, span_in_words
from annotator.settings import load_settings
from annotator.store.identities import list_identities, load_identity, the_one_called
from annotator.store.merging import MergedPerson, list_all_merged
from annotator.store.queries import Found
from annotator.store.store import Store

Form = Literal["table", "json", "csv"]
PAGE: Final = 1000
FOUND_COLUMNS: Final = (
    "media_uri",
    "identity",
    "kg_mid",
    "confidence",
    "first_seen_ms",
    "last_seen_ms",
    "screen_time_ms",
    "model",
    "annotated_at",
)


def search_person(name: str, *, min_confidence: float, form: Form, settings: Mapping[str, Any]) -> None:
    """Print the media that show a person, surest first.

    Raises:
        IdentityError: nobody has the name.

    """
    with open_store(load_settings(**settings), must_exist=True) as store:
        found = _pages(store, name, min_confidence)
        if form == "json":
            for one in found:
                print_json_line(dict(zip(FOUND_COLUMNS, _cells(one), strict=True)))
            return
        if form == "csv":
            print_csv(FOUND_COLUMNS, (_cells(one) for one in found))
            return
        rows = [
            [
                one.media_uri,
                one.identity.name,
                confidence_in_words(one.confidence),
                span_in_words(one.first_seen_ms, one.last_seen_ms),
                f"{one.screen_time_ms / 1000:.1f} s",
            ]
            for one in found
        ]
    if rows:
        print_table(["media", "who", "confidence", "when", "on screen"], rows, right=["confidence", "on screen"])
    else:
        remark(f"{name} is known, and was found in no media.")


def _pages(store: Store, name: str, min_confidence: float) -> Iterator[Found]:
    page = store.search(name, min_confidence=min_confidence, limit=PAGE)
    yield from page.found
    while page.next is not None:
        page = store.search(name, min_confidence=min_confidence, limit=PAGE, after=page.next)
        yield from page.found


def _cells(one: Found) -> list[object]:
    return [
        one.media_uri,
        one.identity.name,
        one.identity.kg_mid,
        round(one.confidence, CONFIDENCE_DIGITS),
        one.first_seen_ms,
        one.last_seen_ms,
        one.screen_time_ms,
        one.model,
        one.annotated_at.isoformat(),
    ]


def list_people(*, as_json: bool, settings: Mapping[str, Any]) -> None:
    """Print everybody whom the database knows."""
    with open_store(load_settings(**settings), must_exist=True) as store, store.reading() as connection:
        people = list_identities(connection)
        merged = list_all_merged(connection)
    if as_json:
        for one in people:
            print_json_line(
                {
                    "identity": one.identity.name,
                    "kg_mid": one.identity.kg_mid,
                    "aliases": list(one.aliases),
                    "photographs": one.photographs,
                    "enrolled": one.enrolled,
                    "media": one.contents,
                    "merged": [_merged_fields(former) for former in merged.get(one.identity.name, ())],
                }
            )
        return
    if not people:
        remark(
            "Nobody yet: annotate something, or enroll somebody. `annotator models show --people` lists the model's."
        )
        return
    rows = []
    for one in people:
        counts = [str(one.photographs), str(one.enrolled or ""), str(one.contents or "")]
        rows.append([one.identity.name, *counts, ", ".join(one.aliases)])
        rows += [["", "", "", "", _merge_in_words(former)] for former in merged.get(one.identity.name, ())]
    header = ["who", "photographs", "enrolled here", "media", "also found as"]
    print_table(header, rows, right=header[1:4])
    remark(f"{len(people)} people")


def _merged_fields(former: MergedPerson) -> dict[str, str | None]:
    return {
        "name": former.name,
        "into": former.into.name,
        "merged_at": None if former.merged_at is None else former.merged_at.isoformat(),
        "merged_by": former.merged_by,
    }


def _merge_in_words(former: MergedPerson) -> str:
    """Return a line that says who was merged into whom, when and by whom."""
    words = f"{former.name or 'somebody whose name was taken'}, merged into {former.into.name}"
    if former.merged_at is None:
        return words
    return f"{words} on {former.merged_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC by {former.merged_by}"


def rename_person(name: str, new_name: str, *, settings: Mapping[str, Any]) -> None:
    """Correct a name; nothing is annotated or labelled anew.

    Raises:
        IdentityError: nobody or several have the name, or somebody else has the new one.

    """
    with open_store(load_settings(**settings), must_exist=True) as store:
        identity = store.rename(name, new_name)
    out().print(f"{name} is now {identity.name}; the old name still finds", markup=False)


def merge_people(name: str, into: str, *, settings: Mapping[str, Any]) -> None:
    """Make two people one.

    Raises:
        IdentityError: one of the names means nobody or several, or both mean one person.

    """
    with open_store(load_settings(**settings), must_exist=True) as store:
        with store.reading() as connection:
            former = load_identity(connection, the_one_called(connection, name)).name
        identity = store.merge(name, into)
    out().print(f"{former} is now {identity.name}; --unmerge {quote(former)} takes it back", markup=False)
