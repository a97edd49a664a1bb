"""Who is a class, and in which order."""

import logging
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from annotator.errors import ConfigError
from trainer.fitting.places import logged_to, people_of
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
    # In a process of its own: signals that go astray end it, and not the process that tests.
    program = """if True:
        import signal
        from trainer.fitting.places import signals_noted

        signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell lets programs beside it ignore SIGINT
        with signals_noted() as noted:
            signal.raise_signal(signal.SIGTERM)
            print([signal.Signals(number).name for number in noted], flush=True)
            try:
                signal.raise_signal(signal.SIGINT)
            except KeyboardInterrupt:
                print("interrupted", flush=True)
            signal.raise_signal(signal.SIGTERM)
            print("not reached", flush=True)
    """
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)

    assert ended.stdout.splitlines() == ["['SIGTERM']", "interrupted"], ended.stderr
    assert ended.returncode == -signal.SIGTERM
