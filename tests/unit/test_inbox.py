"""The inbox bounds what is held, and nobody hangs."""

import threading

import pytest

from annotator.inbox import Inbox, InboxClosedError


def test_items_come_out_in_order_and_at_least_one_at_a_time() -> None:
    inbox: Inbox[str] = Inbox(max_bytes=100)
    for item in "abc":
        inbox.put(item, 10)
    assert inbox.take(max_bytes=15, wait=False) == ["a", "b"]
    assert inbox.take(max_bytes=1, wait=False) == ["c"]
    assert inbox.take(max_bytes=1, wait=False) == []


def test_a_writer_waits_for_room_and_goes_on_when_there_is() -> None:
    inbox: Inbox[int] = Inbox(max_bytes=10)
    inbox.put(1, 8)
    entered = threading.Event()

    def write() -> None:
        inbox.put(2, 8)
        entered.set()

    writer = threading.Thread(target=write)
    writer.start()
    assert not entered.wait(0.05)
    assert inbox.take(max_bytes=1, wait=True) == [1]
    assert entered.wait(5)
    writer.join(5)
    assert inbox.take(max_bytes=1, wait=True) == [2]


def test_an_item_larger_than_the_limit_enters_an_empty_inbox() -> None:
    inbox: Inbox[int] = Inbox(max_bytes=10)
    inbox.put(1, 1000)
    assert inbox.take(max_bytes=1, wait=False) == [1]


def test_closing_turns_away_waiting_and_later_writers() -> None:
    inbox: Inbox[int] = Inbox(max_bytes=10)
    inbox.put(1, 10)
    turned_away = threading.Event()

    def write() -> None:
        with pytest.raises(InboxClosedError):
            inbox.put(2, 10)
        turned_away.set()

    writer = threading.Thread(target=write)
    writer.start()
    inbox.close()
    assert turned_away.wait(5)
    writer.join(5)
    with pytest.raises(InboxClosedError):
        inbox.put(3)
