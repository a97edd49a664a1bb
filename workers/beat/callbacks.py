"""Delivering call-backs: what stands in the outbox goes to its receivers, again and again until they have it."""

import logging
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Final

from sqlalchemy import Connection, Engine

from annotator.errors import TransientError
from annotator.settings import CallbackSettings
from annotator.store.connection import reading, writing
from annotator.store.queue.deliveries import (
    CallBack,
    Receiver,
    due_receivers,
    give_back,
    give_up,
    mark_delivered,
    postpone,
    receiver_answers,
    receiver_fails,
    take_call_backs,
)
from workers.beat.receivers import Answer, Sender

_LOGGER: Final = logging.getLogger(__name__)
CONNECTIONS: Final = 16
"""Receivers that are called at a time; each takes a connection to the database as well."""
_PER_RECEIVER: Final = 4
_PER_CONNECTION: Final = 32  # call-backs, until what came of them is written
_TURN_S: Final = 10.0  # a slow receiver has its connection no longer, until others have had their turn
_SLOW_S: Final = 1.0  # a receiver that takes longer for one
_LOOK_S: Final = 0.5
_RUN_S: Final = 30.0
_DAY_S: Final = 86_400.0
_FIRST_WAIT_S, _FACTOR, _MAX_WAIT_S = 10.0, 4.0, _DAY_S
_MAX_TRIES: Final = 9
_FIRST_REST_S, _MAX_REST_S = 5.0, 300.0
_GIVE_UP_S: Final = 2 * _DAY_S


def wait_s(tries: int, *, luck: float = 1.0) -> float | None:
    """Return how long a call-back that was not accepted waits; None when it is given up.

    Args:
        tries: so far.
        luck: in [0, 1]; spreads the waits, so that not all come back at once.

    >>> [wait_s(tries) for tries in range(1, 10)]
    [10.0, 40.0, 160.0, 640.0, 2560.0, 10240.0, 40960.0, 86400.0, None]
    """
    if tries >= _MAX_TRIES:
        return None
    return min(_FIRST_WAIT_S * _FACTOR ** (tries - 1), _MAX_WAIT_S) * (0.75 + luck / 4)


def rest_s(failures: int, *, luck: float = 1.0) -> float:
    """Return how long a receiver that fails is left alone.

    >>> [rest_s(failures) for failures in (1, 2, 3, 9)]
    [5.0, 10.0, 20.0, 300.0]
    """
    return min(_FIRST_REST_S * 2.0 ** min(failures - 1, 16), _MAX_REST_S) * (0.75 + luck / 4)


class Deliverer:
    """Delivers what is due. Several may run at once, and each may be killed at any time."""

    def __init__(
        self,
        engine: Engine,
        settings: CallbackSettings,
        *,
        is_stopping: Callable[[], bool],
        on_result: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Take what it needs.

        Args:
            engine: of the database.
            settings: who may be called, and the secret.
            is_stopping: asked between call-backs.
            on_result: told of each try: ``"delivered"``, ``"retried"`` or ``"given_up"``.

        """
        self._engine = engine
        self._settings = settings
        self._is_stopping = is_stopping
        self._on_result = on_result
        self._random = random.Random()  # noqa: S311  (spreads waits)
        self._slow: set[int] = set()

    def is_wanted(self) -> bool:
        """Say whether anything is due."""
        with reading(self._engine) as connection:
            return bool(due_receivers(connection))

    def run(self) -> int:
        """Deliver until nothing is due, or for half a minute.

        Returns:
            How many call-backs were accepted.

        Raises:
            TransientError: there is something to deliver, and no secret to sign it with.

        """
        until_s = time.monotonic() + _RUN_S
        accepted = 0
        under_way: dict[Future[int], int] = {}  # connections, and the backlog that each serves
        with ThreadPoolExecutor(CONNECTIONS, thread_name_prefix="call-backs") as pool:
            while True:
                if time.monotonic() < until_s and not self._is_stopping():
                    for receiver in self._chosen(Counter(under_way.values())):
                        under_way[pool.submit(self._serve, receiver)] = receiver.run_id
                if not under_way:
                    return accepted
                ended, _ = wait(under_way, timeout=_LOOK_S, return_when=FIRST_COMPLETED)
                for one in ended:
                    del under_way[one]
                    accepted += one.result()

    def _chosen(self, served: Counter[int]) -> Iterator[Receiver]:
        """Yield the receivers of new connections: those first that have the fewest, so that each has one."""
        with reading(self._engine) as connection:
            due = due_receivers(connection)
        if due and self._settings.secret is None:
            raise TransientError("Call-backs wait for a secret to be signed with: set ANNOTATOR_CALLBACKS__SECRET.")
        for count in range(_PER_RECEIVER):
            for receiver in due:
                # One that fails or is slow has one connection: it may not take them from the others.
                is_slow = receiver.failures > 0 or receiver.run_id in self._slow
                if (
                    served[receiver.run_id] == count < (1 if is_slow else _PER_RECEIVER)
                    and served.total() < CONNECTIONS
                ):
                    served[receiver.run_id] += 1
                    yield receiver

    def _serve(self, receiver: Receiver) -> int:
        """Send some call-backs to a receiver over one connection, and write what came of them."""
        # One that has failed is tried with one call-back: it may still be away.
        limit = 1 if receiver.failures else _PER_CONNECTION
        with writing(self._engine) as connection:
            taken = take_call_backs(connection, receiver.run_id, limit=limit)
        began_s = time.monotonic()
        answers = list(self._send(receiver, taken))
        is_slow = time.monotonic() - began_s > _SLOW_S * len(answers)
        (self._slow.add if is_slow else self._slow.discard)(receiver.run_id)
        return self._settle(receiver, taken, answers)

    def _send(self, receiver: Receiver, taken: Sequence[CallBack]) -> Iterator[Answer]:
        until_s = time.monotonic() + _TURN_S
        with Sender(receiver.url, self._settings) as sender:
            for one in taken:
                if self._is_stopping() or time.monotonic() > until_s:
                    return
                yield (answer := sender.send(one))
                if answer.blames_receiver:
                    return

    def _settle(self, receiver: Receiver, taken: Sequence[CallBack], answers: Sequence[Answer]) -> int:
        tried = list(zip(taken, answers, strict=False))
        accepted = [one.id for one, answer in tried if answer.is_accepted]
        failed = answers[-1].trouble if answers and answers[-1].blames_receiver else None
        given_up = 0
        with writing(self._engine) as connection:
            mark_delivered(connection, accepted)
            give_back(connection, [one.id for one in taken[len(tried) :]])
            for one, answer in tried:
                self._refuse(connection, one, answer)
            if failed is not None:
                rest = rest_s(receiver.failures + 1, luck=self._random.random())
                given_up = receiver_fails(
                    connection, receiver.run_id, delay_s=rest, give_up_s=_GIVE_UP_S, message=failed
                )
            elif answers:
                receiver_answers(connection, receiver.run_id)
        if failed is not None:
            _LOGGER.warning("Call-backs of backlog %d wait: %s", receiver.run_id, failed)
        if given_up:
            _LOGGER.warning(
                "%d call-backs of backlog %d are given up: they have waited for two days", given_up, receiver.run_id
            )
        for result, count in (("delivered", len(accepted)), ("given_up", given_up)):
            for _ in range(count):
                self._on_result(result)
        return len(accepted)

    def _refuse(self, connection: Connection, one: CallBack, answer: Answer) -> None:
        if answer.trouble is None:
            return
        delay_s = None if answer.is_gone else wait_s(one.tries, luck=self._random.random())
        if delay_s is None:
            give_up(connection, one.id, message=answer.trouble)
            self._on_result("given_up")
        else:
            postpone(connection, one.id, delay_s=delay_s, message=answer.trouble)
            self._on_result("retried")
