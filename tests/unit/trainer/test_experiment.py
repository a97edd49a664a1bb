"""What an experiment may be, and how its file is read."""

from pathlib import Path

import pytest

from annotator.errors import ConfigError
from trainer.experiment import ArcFace, CentreLoss, Experiment, Network, Schedule
from trainer.fitting.program import experiment_file, load_experiment

EXAMPLE = Path(__file__).resolve().parents[3] / "experiments" / "example_experiment.py"


def test_the_default_rate_is_a_thousandth_and_halved_every_four_epochs() -> None:
    rates = [Schedule().rate_of(epoch) for epoch in (0, 3, 4, 7, 8)]

    assert rates == [0.001, 0.001, 0.0005, 0.0005, 0.00025]


def test_the_default_loss_and_bottleneck_are_those_of_the_release() -> None:
    assert (CentreLoss().weight, Network().embedding_size) == (0.001, 256)


def test_the_longer_a_run_may_last_is_not_decisive_but_the_seed_and_the_loss_are() -> None:
    plain = Experiment().decisive()

    assert Experiment(schedule=Schedule(epochs=3, patience_epochs=1, log_every_steps=1)).decisive() == plain
    assert Experiment(seed=1).decisive() != plain
    assert Experiment(loss=CentreLoss(centres="running")).decisive() != plain


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Network("resnet51"), "there is no network 'resnet51'"),
        (lambda: Network("xception", embedding_size=None), "needs an embedding_size"),
        (lambda: Network("sface-head", side_px=224), "112 pixels"),
        (lambda: Network(head="round"), "there is no head 'round'"),  # type: ignore[arg-type]
        (lambda: Network(embedding_size=0), "embedding_size must lie between"),
        (lambda: Network(embedding_size=10**9), "embedding_size must lie between"),
        (lambda: Network("resnet50", side_px=-1), "side_px must lie between"),
        (lambda: Network(head="cosine", scale=0.0), "scale of a cosine head"),
        (lambda: Network(head="cosine", scale=float("nan")), "scale of a cosine head"),
        (lambda: CentreLoss(centres="moving"), "there are no centres 'moving'"),  # type: ignore[arg-type]
        (lambda: CentreLoss(weight=-1.0), "weight must be at least 0"),
        (lambda: CentreLoss(rate=0.0), "rate over 0"),
        (lambda: ArcFace(margin_rad=2.0), "margin_rad"),
        (lambda: Experiment(precision="int8"), "there is no precision 'int8'"),  # type: ignore[arg-type]
        (lambda: Experiment(loss=ArcFace()), "cosine head"),
        (lambda: Schedule(epochs=0), "epochs of the schedule"),
        (lambda: Schedule(learning_rate=0.0), "learning_rate"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(make: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make()  # type: ignore[operator]


def test_the_example_defines_an_experiment() -> None:
    assert load_experiment(EXAMPLE).schedule.learning_rate == 1e-3


def test_an_experiment_is_found_by_its_name_and_by_its_file() -> None:
    folder = EXAMPLE.parent

    assert experiment_file("example_experiment", folder) == EXAMPLE
    assert experiment_file(str(EXAMPLE), folder) == EXAMPLE
    with pytest.raises(ConfigError, match="copy experiments/example_experiment"):
        experiment_file("another", folder)


@pytest.mark.parametrize(
    ("text", "message"), [("1 / 0", "ZeroDivisionError"), ("x = 1", "must define experiment"), ("(", "SyntaxError")]
)
def test_a_wrong_file_is_told_in_one_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "wrong.py"
    path.write_text(text)

    with pytest.raises(ConfigError, match=message):
        load_experiment(path)
