"""The process that computes something of the whole archive for the web application: the map, or groups of strangers.

It reads a line of JSON, the settings, and writes lines: how far it is (``doing``), at last what it came to
(``came_to``) or why it came to nothing (``failure``). When its standard input is closed, who has started it is gone,
and it ends: a map is whole or not there, and grouping goes on where it was when it is begun again.
"""

import json
import os
import signal
import sys
from collections.abc import Callable, Mapping
from typing import Final

from annotator.cli.database import open_store
from annotator.cli.entry import one_line
from annotator.cli.processor import multiply_in_one_thread
from annotator.cli.web_asked import end_with_whoever_asks, tell
from annotator.errors import AnnotatorError, StoreUnavailableError
from annotator.settings import Settings, load_settings
from annotator.store.store import Store

_NICER: Final = 5
Tell = Callable[[str], None]


def place_people(store: Store, settings: Settings, tell: Tell) -> str:
    """Build the map, and return what it came to.

    Raises:
        AnnotatorError: as of ``keep_map``.

    """
    from annotator.cli.space import keep_map  # noqa: PLC0415 - loads NumPy, which reads once how many threads it has
    from annotator.space import USUAL_FACES  # noqa: PLC0415

    read = 0

    def on_batch(clips: int) -> None:
        nonlocal read
        read += clips
        tell(f"reading faces, of {read:,} clips so far")

    tell("loading the model")
    return keep_map(store, settings, faces=USUAL_FACES, on_batch=on_batch).in_words()


def group(store: Store, settings: Settings, tell: Tell) -> str:
    """Group strangers, and return what it came to.

    Raises:
        AnnotatorError: as of ``group_new``.

    """
    from annotator.cli.strangers import group_new, in_words  # noqa: PLC0415 - as above

    def on_batch(reached: int, total: int) -> None:
        tell(f"comparing faces, as far as clip {reached:,} of {total:,}")

    tell("loading the model")
    return in_words(group_new(store, settings, on_batch=on_batch))


DEEDS: Final[Mapping[str, Callable[[Store, Settings, Tell], str]]] = {"space": place_people, "strangers": group}


def main() -> None:
    """Read, compute what the first argument names, and tell."""
    multiply_in_one_thread()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole terminal; who has started it ends it
    os.nice(_NICER)
    asked = json.loads(sys.stdin.readline())
    end_with_whoever_asks()
    try:
        settings = load_settings(**asked["settings"])
        with open_store(settings, must_exist=True) as store:
            tell({"came_to": DEEDS[sys.argv[1]](store, settings, lambda doing: tell({"doing": doing}))})
    except StoreUnavailableError as error:  # its words name hosts and users: they are for whoever reads the log
        sys.stderr.write(f"{one_line(error)}\n")
        tell({"failure": "the database does not answer just now: try again soon"})
    except AnnotatorError as error:
        tell({"failure": one_line(error)})


if __name__ == "__main__":
    main()
