"""What all requests share: the database, how long sessions last, templates, the clock."""

import secrets
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from anyio import CapacityLimiter

from annotator.media.reader import MediaReader
from annotator.settings import Settings
from annotator.store.store import Store
from annotator.store.web.accounts import has_accounts
from annotator.store.web.jobs import Room
from annotator.store.web.sessions import Lifetime
from annotator.web.bringing import HostThreads
from annotator.web.comparing import Comparisons
from annotator.web.computing import Computing
from annotator.web.errands import Errand
from annotator.web.labelling_anew import LabellingAnew
from annotator.web.noting import Noting
from annotator.web.pictures import FacePictures
from annotator.web.promoting import Promoting
from annotator.web.rates import Rates
from annotator.web.receiving import Allowed, Uploading
from annotator.web.shown_model import ShownModel
from annotator.web.static import StaticFiles
from annotator.web.taking_down import TakingDown
from annotator.web.templates import Templates
from annotator.web.uploads import Uploads
from annotator.web.waiting import JobChanges

if TYPE_CHECKING:
    from annotator.web.oidc.entrance import Elsewhere

LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
# Whoever sits at the machine, in the record of who did what.
NOBODY_ELSE: Final = "this machine"
# Pieces of exports that are made at once: each computes, and one of Parquet holds 50,000 rows.
_EXPORTS_AT_ONCE: Final = 2
# Of a picture that is only looked at: it goes through memory.
LARGEST_PICTURE_BYTES: Final = 32 * 1024 * 1024
# Pages that wait for a program at once: each may take minutes, and those who ask for other pages do not wait for them.
_MEDIA_AT_ONCE: Final = 6


def now_utc() -> datetime:
    """Return the time."""
    return datetime.now(UTC)


class Keys:
    """Secrets that open the application once, to whoever sits at the machine; as soon as there are accounts, none do.

    A key is in an address, so it is worth nothing once it was used: addresses stay in histories.
    """

    def __init__(self, tell: Callable[[str], None] = lambda _: None) -> None:
        """Say who is told of each new key."""
        self._tell = tell
        self._lock = threading.Lock()
        self._key = ""

    def renew(self) -> None:
        """Make a key, and tell it."""
        with self._lock:
            self._replace()

    def spend(self, given: str) -> bool:
        """Say whether it is the key; there is another one then.

        Raises:
            LocalDiskError: the next one cannot be told; this one is not spent, or nobody could come in any more.

        """
        with self._lock:
            is_right = bool(self._key) and secrets.compare_digest(self._key.encode(), given.encode())
            if is_right:
                self._replace()
        return is_right

    def _replace(self) -> None:
        """Let the next key count as soon as it is told: who reads it meanwhile waits for the lock."""
        following = secrets.token_urlsafe(24)
        self._tell(following)
        self._key = following


@dataclass(frozen=True, slots=True, eq=False)
class Site:
    """What all requests share.

    Attributes:
        store: the database.
        settings: all of them.
        keys: what opens it where there are no accounts.
        now: the clock.
        rates: how often the API is asked.
        noting: when a session was last to be noted as used.
        static: style sheets and scripts.
        reader: brings media to files, to be shown; None shows none.
        templates: what pages are made of.
        media_threads: in how many threads pages wait for programs that look at media.
        bringing: brings media to be sent, in threads of their hosts.
        export_threads: in how many threads exports are made.
        pictures: cuts faces out of media.
        elsewhere: where people log in, too; None is nowhere.
        shown_model: names tracks as what is shown does.
        explaining: looks at a media again to say why; None says nothing.
        enrolling: lets photographs and tracks count as evidence; None lets nothing.
        labelling_anew: keeps what is to be labelled anew after somebody was taken apart, until it has begun.
        uploading: lets in as many uploads as are taken at once.
        job_changes: lets programs wait until a job is in another state.
        wake: tells what annotates that there is something to do.
        comparisons: what labellings change against what is shown.
        promoting: does the promotion that is under way.
        taking_down: looks what would go of somebody, and takes people down; None does not.
        placing: builds the map of people and faces; None does not.
        grouping: groups strangers; None does not.

    """

    store: Store
    settings: Settings
    keys: Keys = field(default_factory=Keys)
    now: Callable[[], datetime] = now_utc
    rates: Rates = field(default_factory=Rates)
    noting: Noting = field(default_factory=Noting)
    static: StaticFiles = field(default_factory=StaticFiles)
    reader: MediaReader | None = None
    templates: Templates = field(default_factory=Templates)
    media_threads: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(_MEDIA_AT_ONCE))
    bringing: HostThreads = field(default_factory=HostThreads)
    export_threads: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(_EXPORTS_AT_ONCE))
    pictures: FacePictures = field(default_factory=FacePictures)
    elsewhere: "Elsewhere | None" = None
    shown_model: ShownModel = field(default_factory=ShownModel)
    explaining: Errand | None = None
    enrolling: Errand | None = None
    labelling_anew: LabellingAnew = field(default_factory=LabellingAnew)
    uploading: Uploading = field(default_factory=Uploading)
    job_changes: JobChanges = field(default_factory=JobChanges)
    wake: Callable[[], None] = lambda: None
    comparisons: Comparisons = field(default_factory=Comparisons)
    promoting: Promoting = field(default_factory=Promoting)
    taking_down: TakingDown | None = None
    placing: Computing | None = None
    grouping: Computing | None = None

    @property
    def lifetime(self) -> Lifetime:
        """How long a session lasts."""
        web = self.settings.web
        return Lifetime(timedelta(hours=web.session_hours), timedelta(minutes=web.idle_minutes))

    @property
    def uploads(self) -> Uploads:
        """Where what visitors upload is kept."""
        most_bytes = min(self.settings.web.upload_bytes, self.settings.fetch.max_bytes)
        return Uploads(self.settings.uploads_folder, most_bytes)

    @property
    def passing_uploads(self) -> Uploads:
        """Where what is only looked at goes, without a name, until the request is answered."""
        most_bytes = min(self.uploads.max_bytes, LARGEST_PICTURE_BYTES)
        return Uploads(Path(tempfile.gettempdir()), most_bytes, reserve_bytes=0, is_kept=False)

    @property
    def allowed(self) -> Allowed:
        """How much may be uploaded at once."""
        return Allowed(self.settings.web.upload_files, self.uploads.max_bytes, self.settings.fetch.timeout_s)

    @property
    def room(self) -> Room:
        """How many media of visitors may wait."""
        return Room(self.settings.web.max_waiting, self.settings.web.max_waiting_of_all)

    @property
    def is_secure(self) -> bool:
        """Browsers reach it by https only."""
        return (self.settings.web.public_url or "").startswith("https://")

    @property
    def cookie(self) -> str:
        """The cookie of a session. Browsers take the prefix from https alone, and from no neighbour of our host."""
        return "__Host-session" if self.is_secure else "annotator_session"

    @property
    def device_cookie(self) -> str:
        """The cookie by which an account knows a browser again."""
        return "__Host-device" if self.is_secure else "annotator_device"

    @property
    def hosts(self) -> frozenset[str] | None:
        """Names under which it may be asked for; None is any.

        Those of the loopback address are always among them: what watches it asks from beside it, and nobody can give
        these names to another machine.
        """
        public = self.settings.web.public_url
        if public is None:
            return LOOPBACK if self.settings.web.host in LOOPBACK else None
        return LOOPBACK | {urlsplit(public).hostname or ""}

    def is_open_to_the_machine(self) -> bool:
        """Say whether nobody can log in, here or elsewhere, and whoever has the key may do everything."""
        web = self.settings.web
        if web.host not in LOOPBACK or web.public_url is not None or self.elsewhere is not None:
            return False
        with self.store.reading() as connection:
            return not has_accounts(connection)
