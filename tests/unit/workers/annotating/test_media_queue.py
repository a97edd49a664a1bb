"""What the annotator reads: small media before films, and never films in all decoders."""

import itertools
import threading

from annotator.types import MediaRef
from workers.annotating.media_queue import MediaQueue, QueueReader

TIMEOUT_S = 10.0


def media(name: str) -> MediaRef:
    return MediaRef(name, f"s3://clips/{name}")


def filled(*names: str, max_films: int = 1) -> MediaQueue:
    queue = MediaQueue(max_films=max_films, clock=iter(range(100)).__next__)
    for name in names:
        queue.put(media(name), is_film=name.endswith("mp4"))
    return queue


class Taker:
    """A decoder that waits for its next media."""

    def __init__(self, reader: QueueReader) -> None:
        self.taken: list[MediaRef] = []
        self._thread = threading.Thread(target=lambda: self.taken.extend(itertools.islice(reader, 1)))
        self._thread.start()

    @property
    def waits(self) -> bool:
        self._thread.join(0.05)
        return self._thread.is_alive()

    def ended(self) -> list[MediaRef]:
        self._thread.join(TIMEOUT_S)
        assert not self._thread.is_alive()
        return self.taken


def test_small_media_go_before_films_that_came_earlier() -> None:
    queue = filled("long.mp4", "1.gif", "2.gif")
    assert [next(queue.reader()).media_id for _ in range(3)] == ["1.gif", "2.gif", "long.mp4"]
    assert [(one.media.media_id, one.is_film, one.since_s) for one in queue.begun()] == [
        ("1.gif", False, 0),
        ("2.gif", False, 1),
        ("long.mp4", True, 2),
    ]


def test_a_decoder_waits_rather_than_begin_one_film_too_many_and_takes_the_next_gif() -> None:
    queue = filled("1.mp4", "2.mp4", "3.mp4", max_films=2)
    reader = queue.reader()
    next(reader)
    next(reader)
    taker = Taker(reader)
    assert taker.waits
    queue.put(media("late.gif"))
    assert taker.ended() == [media("late.gif")]


def test_the_next_film_begins_when_the_outcome_of_a_former_one_is_there() -> None:
    queue = filled("1.mp4", "2.mp4")
    reader = queue.reader()
    next(reader)
    taker = Taker(reader)
    assert taker.waits
    queue.done(media("1.mp4"))
    assert taker.ended() == [media("2.mp4")]


def test_films_that_broke_off_leave_their_places() -> None:
    queue = filled("1.mp4", "2.mp4")
    reader = queue.reader()
    next(reader)
    assert [one.media for one in queue.forget_begun()] == [media("1.mp4")]
    assert next(reader) == media("2.mp4")


def test_a_closed_queue_ends_its_readers_after_the_last_media() -> None:
    queue = filled("1.mp4", "2.gif")
    queue.close()
    assert [one.media_id for one in queue.reader()] == ["2.gif", "1.mp4"]


def test_a_reader_that_is_closed_lets_go_of_who_waits_in_it() -> None:
    queue = filled()
    reader = queue.reader()
    taker = Taker(reader)
    assert taker.waits
    reader.close()
    assert taker.ended() == []
    queue.put(media("1.gif"))
    assert next(queue.reader()) == media("1.gif"), "it is left to the next reader"
