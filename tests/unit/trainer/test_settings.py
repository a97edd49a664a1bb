from pathlib import Path

import pytest

from annotator.errors import ConfigError
from trainer.settings import load_trainer_settings


def test_the_file_of_the_original_release_is_understood(tmp_path: Path) -> None:
    env_file = tmp_path / ".env"
    env_file.write_text(
        "EXPERIMENT_FILENAME=example_experiment.py\nUSE_GPU=true\nTENSORBOARD_PORT=6006\nWORKDIR=somewhere\n"
        "# for docker only:\nLOCAL_WORKDIR=\n"
    )
    settings = load_trainer_settings(env_file=env_file, environment={})
    assert settings.experiment == "example_experiment"
    assert (settings.device, settings.tensorboard_port, settings.workdir) == ("gpu", 6006, Path("somewhere"))


def test_nothing_need_be_set(tmp_path: Path) -> None:
    settings = load_trainer_settings(env_file=tmp_path / ".env", environment={})
    assert (settings.experiment, settings.device, settings.workdir) == (None, "cpu", Path("workdir"))


def test_the_option_goes_before_the_environment_and_that_before_the_file(tmp_path: Path) -> None:
    env_file = tmp_path / ".env"
    env_file.write_text("WORKDIR=of_file\n")
    environment = {"WORKDIR": "of_environment"}
    assert load_trainer_settings(env_file=env_file, environment={}).workdir == Path("of_file")
    assert load_trainer_settings(env_file=env_file, environment=environment).workdir == Path("of_environment")
    given = load_trainer_settings(workdir=Path("of_option"), env_file=env_file, environment=environment)
    assert given.workdir == Path("of_option")


def test_the_local_folder_counts_where_that_of_the_container_is_not_there(tmp_path: Path) -> None:
    environment = {"WORKDIR": str(tmp_path / "container"), "LOCAL_WORKDIR": str(tmp_path)}
    env_file = tmp_path / ".env"
    assert load_trainer_settings(env_file=env_file, environment=environment).workdir == tmp_path
    (tmp_path / "container").mkdir()
    assert load_trainer_settings(env_file=env_file, environment=environment).workdir == tmp_path / "container"


@pytest.mark.parametrize("wrong", [{"USE_GPU": "maybe"}, {"TENSORBOARD_PORT": "70000"}, {"TENSORBOARD_PORT": "x"}])
def test_a_value_that_cannot_be_is_refused_by_name(tmp_path: Path, wrong: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        load_trainer_settings(env_file=tmp_path / ".env", environment=wrong)
