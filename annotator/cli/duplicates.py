"""``annotator duplicates``."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from annotator.cli.database import open_store
from annotator.cli.output import out, print_json_line, print_table, progress, remark
from annotator.results import confidence_in_words
from annotator.settings import load_settings
from annotator.store.duplicates.families import count_new, find_families
from annotator.store.duplicates.listing import Family, Member, family_of, list_families
from annotator.store.store import Store
from annotator.types import MediaRef


def show_all(*, limit: int, as_json: bool, settings: Mapping[str, Any]) -> None:
    """Print families, those of most contents first.

    Raises:
        ConfigError: there is no database.
        GroupingTakenError: another process looks for families just now.

    """
    with open_store(load_settings(**settings), must_exist=True) as store:
        _catch_up(store)
        with store.reading() as connection:
            families = list_families(connection, limit=limit)
    if as_json:
        for family in families:
            print_json_line(_line(family))
    elif families:
        _print(families)
    else:
        remark("No clip is another one made anew.")


def show_family(source: str, *, as_json: bool, settings: Mapping[str, Any]) -> None:
    """Print the family of a media, or say that it has none.

    Raises:
        ConfigError: there is no database.
        GroupingTakenError: another process looks for families just now.
        SourceNotFoundError: the database does not know the media.

    """
    media = MediaRef(source, source if "://" in source else Path(source).resolve().as_uri())
    with open_store(load_settings(**settings), must_exist=True) as store:
        _catch_up(store)
        with store.reading() as connection:
            family = family_of(connection, media)
    if as_json:
        print_json_line(
            {"media": source, **(_line(family) if family else {"family": None, "members": [], "people": []})}
        )
    elif family is None:
        remark(f"{source} is not another clip made anew.")
    else:
        _print([family])


def _catch_up(store: Store) -> None:
    new = count_new(store.engine)
    if not new:
        return
    with progress("comparing clips", total=new) as advance:

        def on_batch(contents: int) -> None:
            for _ in range(contents):
                advance()

        find_families(store.engine, on_batch=on_batch)


def _print(families: Sequence[Family]) -> None:
    rows = [
        (
            str(family.family) if number == 0 else "",
            member.media_uri,
            _why(member),
            _people(family) if number == 0 else "",
        )
        for family in families
        for number, member in enumerate(family.members)
    ]
    print_table(["family", "media", "why", "people"], rows, right=["family"])
    out().print(
        "Each media keeps its own times and boxes; people are those of any member.", markup=False, soft_wrap=True
    )


def _why(member: Member) -> str:
    if member.likeness is None:
        return "first"
    done = ", ".join(member.changes) or "made anew"
    return f"{done}; pictures agree by {member.likeness:.2f}"


def _people(family: Family) -> str:
    return ", ".join(
        f"{one.name} {confidence_in_words(one.confidence)} (in {one.contents} of {family.contents})"
        for one in family.people
    )


def _line(family: Family) -> dict[str, Any]:
    members = [
        {
            "media": one.media_uri,
            "like": one.like_uri,
            "likeness": None if one.likeness is None else round(one.likeness, 4),
            "changes": list(one.changes),
        }
        for one in family.members
    ]
    people = [{**asdict(one), "confidence": round(one.confidence, 4)} for one in family.people]
    return {"family": family.family, "contents": family.contents, "members": members, "people": people}
