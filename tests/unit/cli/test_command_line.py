import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import typer

from annotator.cli import run_command
from annotator.cli.arguments import parse_duration_ms
from annotator.cli.entry import Program
from annotator.cli.output import print_csv, print_table, result_rows
from annotator.errors import (
    ChangedMeanwhileError,
    ConfigError,
    InputError,
    ModelError,
    ModelsBusyError,
    RelabellingTakenError,
    SourceNotFoundError,
    StoreUnavailableError,
)
from annotator.results import MediaResult, TrackBox, TrackResult
from annotator.types import Candidate, ContentLabel, Identity, TrackLabel


def test_help_is_quick_and_imports_nothing_heavy() -> None:
    code = (
        "import sys; from annotator.cli import run_command; run_command(['--help']);"
        "print({'numpy', 'sqlalchemy', 'openvino', 'cv2', 'keras', 'boto3', 'celery', 'tensorflow'} & set(sys.modules))"
    )
    started = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("set()")
    assert time.perf_counter() - started < 5  # half a second on a machine that does nothing else


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["annotate"],
        ["enroll"],
        ["search"],
        ["identities"],
        ["up"],
        ["demo"],
        ["models", "build"],
        ["models", "promote"],
        ["db"],
    ],
)
def test_every_command_explains_itself(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command([*arguments, "--help"]) == 0
    assert "Usage: annotator" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [
        ["bogus"],
        ["annotate"],
        ["annotate", "x.gif", "--frames", "0"],
        ["annotate", "x.gif", "--every", "soon"],
        ["annotate", "x.gif", "--frames", "3", "--all"],
        ["explain"],
        ["explain", "x.gif", "--track", "-1"],
        ["explain", "x.gif", "--frames", "3", "--every", "1s"],
        ["explain", "x.gif", "--database", "sqlite:///x.db", "--no-database"],
        ["search", "Cher", "--json", "--csv"],
        ["search", "Cher", "--min-confidence", "2"],
        ["calibrate", "--sample", "0"],
        ["enroll", "Cher"],
    ],
)
def test_wrong_usage_is_exit_code_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(arguments) == 2
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize("encoding", ["utf-8:strict", "utf-8:surrogateescape", "ascii"])
def test_names_that_the_terminal_has_no_letters_for_end_no_run(encoding: str) -> None:
    code = (
        "from annotator.cli import run_command; from annotator.cli import output;"
        "run_command(['--version']); value = {'media': 'caf\\udce9 é.gif'};"
        "output.print_json_line(value); output.remark(value['media']);"
        "output.print_table(['media'], [[value['media']]])"
    )
    environment = os.environ | {"PYTHONIOENCODING": encoding}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, env=environment, check=True)
    _, line, *_ = done.stdout.decode("utf-8").splitlines()
    assert json.loads(line) == {"media": "caf\udce9 é.gif"}


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigError("the setting is wrong:\n set it right"), 2),
        (SourceNotFoundError("there is no file x.gif"), 2),
        (StoreUnavailableError("the database does not answer"), 1),
        (ModelsBusyError("somebody else installs a model"), 75),
        (RelabellingTakenError("another process makes these labels"), 75),
        (ChangedMeanwhileError("another model was promoted meanwhile"), 3),
        (ModelError("the bundle was changed"), 1),
        (ZeroDivisionError("nobody thought of it"), 1),
    ],
)
def test_an_error_is_one_line_and_an_exit_code(error: Exception, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> typer.Typer:
        raise error

    assert Program("annotator", fail).run(["status"]) == code
    said = capsys.readouterr().err
    assert said.startswith("annotator: ")
    assert said.count("\n") == 1
    assert str(error).split("\n", maxsplit=1)[0] in said


def test_an_error_with_details_tells_them_first_each_on_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> typer.Typer:
        error = InputError("2 problems")
        error.details = ("labels.csv:3: twice", "Lenna:\nempty")
        raise error

    assert Program("trainer", fail).run([]) == 2
    said = capsys.readouterr().err.splitlines()
    assert said == ["trainer: labels.csv:3: twice", "trainer: Lenna: empty", "trainer: 2 problems"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["annotate", "nothing.gif"],
        ["explain", "nothing.gif"],
        ["enroll", "Cher", "nothing.jpg"],
        ["relabel"],
        ["models", "diff", "mine@1"],
        ["models", "promote", "mine@1"],
    ],
)
def test_commands_that_name_tracks_multiply_in_one_thread(arguments: list[str], tmp_path: Path) -> None:
    # What OpenBLAS reads is read when NumPy is imported: a finder of modules looks at it in that moment.
    code = """
import os, sys
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "numpy":
            print(os.environ.get("OPENBLAS_NUM_THREADS"))
sys.meta_path.insert(0, Finder())
from annotator.cli import run_command
run_command(sys.argv[1:])
"""
    environment = {name: value for name, value in os.environ.items() if name != "OPENBLAS_NUM_THREADS"}
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, capture_output=True, env=environment, cwd=tmp_path, check=True, text=True)
    assert done.stdout.split()[:1] == ["1"], done.stderr


def test_debug_shows_where_an_error_comes_from() -> None:
    def fail() -> typer.Typer:
        raise ConfigError("wrong")

    with pytest.raises(ConfigError):
        Program("annotator", fail).run(["--debug", "status"])


def test_a_reader_that_leaves_is_no_error(tmp_path: Path) -> None:
    script = "import sys; from annotator.cli import main; sys.argv = ['annotator', 'config', '--json']; main()"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ANNOTATOR_")}
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path, env=environment
    ) as child:
        assert child.stdout is not None
        child.stdout.close()
        assert child.stderr is not None
        assert child.stderr.read() == b""
    assert child.returncode in {0, 1}


def test_config_prints_values_with_their_source_and_masks_passwords(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ANNOTATOR_DATABASE_URL", "postgresql://ann:hunter2@db/x")
    (tmp_path / ".env").write_text("ANNOTATOR_DEVICE=cpu\n")
    assert run_command(["config", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert listed["ANNOTATOR_DATABASE_URL"] == {"value": "postgresql://ann:***@db/x", "source": "environment"}
    assert listed["ANNOTATOR_DEVICE"] == {"value": "cpu", "source": ".env"}
    assert listed["ANNOTATOR_SAMPLING__FRAMES"] == {"value": "20", "source": "default"}
    assert run_command(["config"]) == 0
    table = capsys.readouterr().out
    assert "hunter2" not in table
    assert "ANNOTATOR_WORKER__DRAIN_S" in table


def test_config_refuses_an_unknown_name(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("ANNOTATOR_DEVISE", "cpu")
    assert run_command(["config"]) == 2
    assert "did you mean ANNOTATOR_DEVICE?" in capsys.readouterr().err


@pytest.mark.parametrize(("text", "expected"), [("500ms", 500), ("2s", 2000), ("0.25 s", 250), ("40", 40), (40, 40)])
def test_a_duration_is_read(text: str | int, expected: int) -> None:
    assert parse_duration_ms(text) == expected


@pytest.mark.parametrize("text", ["", "soon", "-1s", "0", "5 minutes", "0.0001ms"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="is no time"):
        parse_duration_ms(text)


UNKNOWN = TrackLabel("unknown", ())


def told(
    status: str, *, labels: tuple[ContentLabel, ...] = (), unknown: int = 0, reason: str | None = None
) -> MediaResult:
    track = TrackResult(0, 0, 1500, 1200, UNKNOWN, (TrackBox(0, (1, 2, 3, 4)),))
    return MediaResult(
        media="x.gif",
        status=status,  # type: ignore[arg-type]
        reason=reason,
        message="It is no media." if status == "failed" else None,
        model="starter@1",
        duration_ms=3000,
        frames_sampled=20,
        faces=unknown,
        labels=labels,
        tracks=(track,) * unknown,
    )


def rows(result: MediaResult) -> list[list[str]]:
    return [[str(cell) for cell in row] for row in result_rows(result)]


def test_the_table_has_a_line_for_each_person_and_names_the_media_once() -> None:
    labels = (
        ContentLabel(Identity("Brad Pitt"), 0.999, 0, 3100, 2900),
        ContentLabel(Identity("Angelina Jolie"), 0.912, 1000, 61_000, 2000),
    )
    assert rows(told("annotated", labels=labels, unknown=1)) == [
        ["x.gif", "Brad Pitt", ">99 %", "0.0-3.1 s", "2.9 s"],
        ["", "Angelina Jolie", "91 %", "0:01.0-1:01.0", "2.0 s"],
        ["", "unknown", "", "0.0-1.5 s", "1.2 s"],
    ]


def test_the_table_says_who_is_on_a_picture_only() -> None:
    pitt, jolie = Identity("Brad Pitt"), Identity("Angelina Jolie")
    labels = (ContentLabel(pitt, 0.999, 0, 3100, 2900), ContentLabel(jolie, 0.91, 0, 3100, 2900))
    tracks = [
        TrackResult(number, 0, 3100, 2900, TrackLabel("known", (Candidate(identity, 0.5, 0.9),)), (), is_picture)
        for number, (identity, is_picture) in enumerate([(pitt, True), (jolie, True), (jolie, False)])
    ]
    told_so = replace(told("annotated", labels=labels), tracks=tuple(tracks))
    assert [row[1] for row in rows(told_so)] == ["Brad Pitt, on a picture", "Angelina Jolie"]


def test_the_table_says_why_there_is_no_name() -> None:
    assert rows(told("annotated")) == [["x.gif", "no face", "", "", ""]]
    assert rows(told("annotated", unknown=3))[0][1] == "unknown, 3 faces followed"
    assert rows(told("failed", reason="undecodable"))[0][1] == "failed: undecodable"
    assert rows(told("damaged", reason="it ends early"))[-1][1] == "damaged: it ends early"


def test_names_with_brackets_are_not_taken_for_markup(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(["media"], [["clip[red].gif"]])
    assert "clip[red].gif" in capsys.readouterr().out


def test_csv_quotes_what_needs_it_and_leaves_missing_cells_empty(capsys: pytest.CaptureFixture[str]) -> None:
    print_csv(["who", "mid"], [["Robert Downey, Jr.", None]])
    assert capsys.readouterr().out == 'who,mid\n"Robert Downey, Jr.",\n'
