"""Who is a class, and in which order."""

import logging
import signal
import threading
from pathlib import Path

import pytest

from annotator.errors import ConfigError
from trainer.fitting.places import logged_to, people_of, signals_noted
from trainer.workdir import Experiment as Places


@pytest.fixture
def places(tmp_path: Path) -> Places:
    places = Places("example", tmp_path)
    for name in ("Ann_Lee", "Bob_Ray", "Zoe_Fox"):
        folder = places.train_dataset / name
        folder.mkdir(parents=True)
        (folder / "1.jpg").touch()
    return places


def test_without_labels_the_classes_are_the_folders_sorted(places: Places) -> None:
    assert people_of(places) == ("Ann_Lee", "Bob_Ray", "Zoe_Fox")


def test_classes_are_ordered_by_the_index_of_the_label_and_have_no_gaps(places: Places) -> None:
    places.labels_file.write_text("Label,Index\nAnn_Lee,7\nZoe_Fox_[m.01abc],2\nNobody,5\nBob_Ray,3\n")

    assert people_of(places) == ("Zoe_Fox", "Bob_Ray", "Ann_Lee")


def test_a_folder_without_a_label_is_left_out_and_named(places: Places, caplog: pytest.LogCaptureFixture) -> None:
    places.labels_file.write_text("Label,Index\nAnn_Lee,0\nZoe_Fox,1\n")

    assert people_of(places) == ("Ann_Lee", "Zoe_Fox")
    assert "Bob_Ray has no label" in caplog.text


def test_one_person_is_too_few(places: Places) -> None:
    places.labels_file.write_text("Label,Index\nAnn_Lee,0\n")

    with pytest.raises(ConfigError, match="trainer prepare example"):
        people_of(places)


def test_what_is_said_stands_in_the_log_file_once(tmp_path: Path) -> None:
    for _ in range(2):
        with logged_to(tmp_path / "logs.log"):
            logging.getLogger("trainer.fit").info("hello")

    assert (tmp_path / "logs.log").read_text().count("INFO: hello") == 2


def test_a_first_signal_is_noted_and_a_second_one_ends_as_always() -> None:
    # A signal to the process may be taken by any of its threads, later than the next line, and end the process that
    # tests; `raise_signal` gives it to this thread, at once.
    assert threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell lets programs beside it ignore SIGINT
    try:
        with signals_noted() as noted:
            signal.raise_signal(signal.SIGTERM)
            assert noted == [signal.SIGTERM]
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(signal.SIGINT)
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    finally:
        signal.signal(signal.SIGINT, before)
