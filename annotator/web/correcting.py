"""What people say of a track, whether by a page or by the API: it is somebody, it is not, or nothing was said."""

from dataclasses import dataclass

from sqlalchemy import Connection

from annotator.errors import IdentityError, ModelError
from annotator.store.corrections.saying import Corrected, Speaker, correct_track, withdraw_corrections
from annotator.store.identities import find_identities, load_identity
from annotator.store.web.media import KnownMediaRow
from annotator.web.errors import WebError
from annotator.web.visit import Visit


@dataclass(frozen=True, slots=True)
class Saying:
    """What is said of a track; with no name, all that was said of it is taken back.

    Attributes:
        is_person: it is this person.
        is_not: it is not this person.
        is_new: the person is added where nobody has the name.
        seen: ids of network and content whose track was looked at; None is what is shown now.

    """

    is_person: str | None = None
    is_not: str | None = None
    is_new: bool = False
    seen: tuple[int, int] | None = None


class UnknownNameError(Exception):
    """Nobody has the name, or several have it: whoever said it chooses.

    Attributes:
        name: as it was said.
        names: who may be meant.
        is_free: nobody has it: somebody new may get it.

    """

    def __init__(self, name: str, names: tuple[str, ...], *, is_free: bool) -> None:
        """Keep the facts."""
        super().__init__(name)
        self.name = name
        self.names = names
        self.is_free = is_free

    def to_web_error(self) -> WebError:
        """Return how programs are told."""
        what = f"nobody is called {self.name}" if self.is_free else f"{self.name} may mean several people"
        near = f": {' or '.join(self.names)}?" if self.names else "; new=true adds the person."
        return WebError(404, what + near)


def say(visit: Visit, row: KnownMediaRow, track_no: int, saying: Saying) -> Corrected:
    """Say it, and put it on record.

    Raises:
        UnknownNameError: the name means nobody, or several.
        WebError: the name of somebody new cannot be a name.
        AnnotatorError: as of ``annotator.store.corrections.saying``.

    """
    engine = visit.site.store.engine
    if saying.is_person is None and saying.is_not is None:
        return withdraw_corrections(engine, row.ref, track_no, speaker=_speaker(visit, row, saying, name=None))
    verdict, given = ("is not", saying.is_not) if saying.is_person is None else ("is", saying.is_person)
    name = " ".join((given or "").split())
    if not saying.is_new:
        insist_on_one(visit, name)
    try:
        return correct_track(
            engine,
            row.ref,
            track_no,
            verdict="is" if verdict == "is" else "is not",
            name=name,
            is_new=saying.is_new and verdict == "is",
            speaker=_speaker(visit, row, saying, name=name),
        )
    except ModelError as error:  # of the name: no model has a part in it
        raise WebError(400, f"{error}.") from error


def insist_on_one(visit: Visit, name: str) -> None:
    """Insist that a name means one person.

    Raises:
        UnknownNameError: it means nobody, or several.

    """
    with visit.site.store.reading() as connection:
        try:
            found = find_identities(connection, name)
        except IdentityError as error:
            raise UnknownNameError(name, error.suggestions, is_free=True) from error
        if len(found) > 1:
            names = tuple(load_identity(connection, one).name for one in found)
            raise UnknownNameError(name, names, is_free=False)


def _speaker(visit: Visit, row: KnownMediaRow, saying: Saying, *, name: str | None) -> Speaker:
    """Return who says it."""
    said = "nothing" if name is None else "is" if saying.is_person is not None else "is not"
    # In a field of its own: a takedown does not look for a name of one word within a sentence.
    named = {} if name is None else {"name": name}

    def note(connection: Connection, done: Corrected) -> None:
        visit.record(
            connection,
            "took back what was said of a track" if name is None else "said who a track is",
            subject=row.ref.uri,
            track=done.track_no,
            said=said,
            **named,
            before=None if done.before is None else done.before.name,
            now=None if done.now is None else done.now.name,
        )

    return Speaker(visit.visitor.said_by, saying.seen, note)
