import json
from pathlib import Path

import pytest

from annotator.build import build_source
from annotator.detection import DetectionParams
from annotator.errors import ConfigError
from annotator.media import DecodeLimits, FetchLimits, Sampling
from annotator.settings import Settings, WebSettings, explain_settings, load_settings


@pytest.fixture
def env_file(tmp_path: Path) -> Path:
    path = tmp_path / ".env"
    path.write_text("ANNOTATOR_SAMPLING__FRAMES=7\nANNOTATOR_DEVICE=cpu\nOTHER_PROGRAM=yes\n")
    return path


def source_of(settings: Settings, name: str, **how: object) -> str:
    return next(one.source for one in explain_settings(settings, **how) if one.name == name)  # type: ignore[arg-type]


def test_an_option_beats_the_environment_which_beats_the_file_which_beats_the_default(
    env_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "ANNOTATOR_SAMPLING__FRAMES"
    found = [load_settings(env_file=None)]
    how: list[dict[str, object]] = [{"env_file": None}, {"env_file": env_file}]
    found.append(load_settings(env_file=env_file))
    sources = [source_of(settings, name, **one) for settings, one in zip(found, how, strict=True)]
    monkeypatch.setenv(name, "9")
    found.append(load_settings(env_file=env_file))
    sources.append(source_of(found[-1], name, env_file=env_file))
    options = {"sampling": {"frames": 11}}
    found.append(load_settings(env_file=env_file, **options))
    sources.append(source_of(found[-1], name, env_file=env_file, options=options))
    assert [settings.sampling.frames for settings in found] == [20, 7, 9, 11]
    assert sources == ["default", ".env", "environment", "option"]


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("ANNOTATOR_DATABASE_ULR", "ANNOTATOR_DATABASE_URL"),
        ("ANNOTATOR_SAMPLING__FRAME", "ANNOTATOR_SAMPLING__FRAMES"),
        ("ANNOTATOR_SAMPLING_FRAMES", "ANNOTATOR_SAMPLING__FRAMES"),
        ("annotator_devise", "ANNOTATOR_DEVICE"),
    ],
)
def test_a_misspelled_name_is_refused_with_the_nearest_right_one(
    name: str, nearest: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "1")
    with pytest.raises(ConfigError, match=rf"{name}.*did you mean {nearest}\?"):
        load_settings(env_file=None)


@pytest.mark.parametrize(("given", "queues"), [("gpu", ("gpu",)), ("gpu, cpu,", ("gpu", "cpu"))])
def test_lists_are_written_with_commas(given: str, queues: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANNOTATOR_SCALING__QUEUES", given)
    monkeypatch.setenv("ANNOTATOR_CALLBACKS__ALLOWED_HOSTS", "hooks.example.com,10.0.0.0/8")
    settings = load_settings(env_file=None)
    assert settings.scaling.queues == queues
    assert settings.callbacks.allowed_hosts == ("hooks.example.com", "10.0.0.0/8")


def test_a_misspelled_name_in_the_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text("ANNOTATOR_MODLE=starter\n")
    with pytest.raises(ConfigError, match=r"ANNOTATOR_MODLE.*ANNOTATOR_MODEL"):
        load_settings(env_file=path)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("ANNOTATOR_DEVICE", "tpu", "'auto', 'cpu' or 'gpu'"),
        ("ANNOTATOR_SAMPLING__FRAMES", "many", "valid integer"),
        ("ANNOTATOR_SAMPLING", "{broken", "JSON"),
        ("ANNOTATOR_PRIOR", "0", "ANNOTATOR_PRIOR: input should be greater than 0"),
        ("ANNOTATOR_MIN_PRECISION", "1", "ANNOTATOR_MIN_PRECISION: input should be less than 1"),
        ("ANNOTATOR_WORKER__VISIBILITY_TIMEOUT_S", "60", "at least twice the longest deadline"),
    ],
)
def test_a_value_that_cannot_be_is_one_sentence(
    name: str, value: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=words) as caught:
        load_settings(env_file=None)
    assert "\n" not in str(caught.value)


def test_every_and_all_exclude_each_other() -> None:
    with pytest.raises(ConfigError, match="not both"):
        load_settings(env_file=None, sampling={"every_ms": 500, "all": True})


def test_a_group_can_be_given_as_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANNOTATOR_DETECTION", json.dumps({"min_face_px": 40}))
    settings = load_settings(env_file=None)
    assert settings.detection.min_face_px == 40
    assert source_of(settings, "ANNOTATOR_DETECTION__MIN_FACE_PX", env_file=None) == "environment"


def test_an_empty_value_counts_as_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANNOTATOR_BROKER_URL", "")
    settings = load_settings(env_file=None)
    assert settings.broker_url is None
    assert source_of(settings, "ANNOTATOR_BROKER_URL", env_file=None) == "default"


def test_the_default_database_lies_in_the_data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    settings = load_settings(env_file=None)
    expected = tmp_path / "celebrity-annotator" / "annotations.db"
    assert settings.database_url.get_secret_value() == f"sqlite:///{expected}"
    moved = load_settings(env_file=None, data_dir=tmp_path / "elsewhere")
    assert moved.database_url.get_secret_value() == f"sqlite:///{tmp_path}/elsewhere/annotations.db"


def test_no_password_shows_anywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANNOTATOR_DATABASE_URL", "postgresql://ann:hunter2@db/annotations")
    monkeypatch.setenv("ANNOTATOR_BROKER_URL", "redis://:hunter2@broker/0")
    monkeypatch.setenv("ANNOTATOR_S3_SECRET_ACCESS_KEY", "hunter2")
    settings = load_settings(env_file=None)
    shown = repr(settings) + str(explain_settings(settings, env_file=None)) + settings.model_dump_json()
    assert "hunter2" not in shown
    assert "postgresql://ann:***@db/annotations" in shown
    assert settings.database_url.get_secret_value() == "postgresql://ann:hunter2@db/annotations"


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("https://Faces.Example.org", "https://faces.example.org"),
        ("https://faces.example.org:443/", "https://faces.example.org"),
        ("http://faces.example.org:80", "http://faces.example.org"),
        ("https://faces.example.org:8443", "https://faces.example.org:8443"),
        ("http://[::1]:8765/", "http://[::1]:8765"),
    ],
)
def test_the_address_of_the_pages_is_as_browsers_send_it(given: str, sent: str) -> None:
    assert WebSettings(public_url=given).public_url == sent


def test_an_address_whose_port_cannot_be_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"(?i)public_url"):
        load_settings(env_file=None, web={"public_url": "https://faces.example.org:70000"})


def test_settings_cannot_be_changed() -> None:
    settings = load_settings(env_file=None)
    with pytest.raises(ValueError, match="frozen"):
        settings.device = "gpu"


def test_the_defaults_are_those_of_the_stages() -> None:
    settings = load_settings(env_file=None)
    source = build_source(settings)
    assert source.limits == DecodeLimits()
    assert source.sampling == Sampling.even()
    fetch = FetchLimits()
    assert (settings.fetch.max_bytes, settings.fetch.timeout_s) == (fetch.max_bytes, fetch.timeout_s)
    assert settings.fetch.allow_private_addresses == fetch.allow_private
    assert settings.detection.min_face_px == DetectionParams().min_face_px
    assert settings.detection.min_face_fraction == DetectionParams().min_face_fraction
