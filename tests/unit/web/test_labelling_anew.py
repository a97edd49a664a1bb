"""Labelling that is due after a merge was taken back is tried again, and told of until it has begun."""

import threading

from annotator.web.errors import WebError
from annotator.web.labelling_anew import LabellingAnew


def test_what_cannot_begin_is_tried_again_and_due_until_then() -> None:
    labelling = LabellingAnew(waits_s=(0,) * 5)
    may_begin, has_begun = threading.Event(), threading.Event()
    tries: list[bool] = []

    def label() -> None:
        tries.append(labelling.is_due_for(3))
        if len(tries) < 3:
            raise WebError(503, "Another one is under way.")
        may_begin.wait(10)
        has_begun.set()

    labelling.begin(label, {3, 4})
    assert labelling.is_due_for(4)
    assert not labelling.is_due_for(5)
    may_begin.set()
    assert has_begun.wait(10)
    _await_thread()
    assert tries == [True] * 3
    assert not labelling.is_due_for(3)


def test_what_never_can_begin_is_given_up_and_can_be_asked_for_again() -> None:
    labelling = LabellingAnew(waits_s=(0, 0))
    tries: list[int] = []

    def label() -> None:
        tries.append(1)
        raise OSError("no process can be started")

    labelling.begin(label, {3})
    _await_thread()
    assert (len(tries), labelling.is_due_for(3)) == (3, False)
    labelling.begin(lambda: tries.append(2), {3})
    assert tries == [1, 1, 1, 2]


def test_what_becomes_due_when_it_is_given_up_is_tried_too() -> None:
    labelling = LabellingAnew(waits_s=(0,))
    tries: list[str] = []

    def first() -> None:
        tries.append("first")
        if len(tries) == 2:  # the last time
            labelling.begin(second, {4})
        raise WebError(503, "Another one is under way.")

    def second() -> None:
        tries.append(f"second, {labelling.is_due_for(3)}")

    labelling.begin(first, {3})
    _await_thread()
    assert tries == ["first", "first", "second, True"]
    assert not labelling.is_due_for(4)


def test_who_becomes_due_while_it_begins_is_labelled_once_more() -> None:
    labelling = LabellingAnew(waits_s=())
    done: list[bool] = []
    labelling.begin(lambda: labelling.begin(lambda: done.append(labelling.is_due_for(4)), {4}), {3})
    assert done == [True]
    assert not labelling.is_due_for(4)


def _await_thread() -> None:
    for thread in threading.enumerate():
        if thread.name == "labelling anew":
            thread.join(10)
