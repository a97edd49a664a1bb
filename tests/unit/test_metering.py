"""When the networks starve."""

from annotator.metering import Hunger, Stage


class Heard:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, Stage]] = []

    def set_threads(self, stage: Stage, count: int) -> None:
        raise AssertionError((stage, count))

    def begin(self, stage: Stage) -> None:
        self.told.append(("begin", stage))

    def end(self, stage: Stage) -> None:
        self.told.append(("end", stage))


def test_waiting_with_nothing_in_hand_is_no_starving() -> None:
    heard = Heard()
    with Hunger(heard).waiting():
        pass
    assert heard.told == []


def test_a_media_that_comes_while_the_networks_wait_makes_them_starve() -> None:
    heard = Heard()
    hunger = Hunger(heard)
    with hunger.waiting():
        with hunger.media(), hunger.media():
            assert heard.told == [("begin", "starved")]
        assert heard.told == [("begin", "starved"), ("end", "starved")]


def test_starving_ends_with_the_wait() -> None:
    heard = Heard()
    hunger = Hunger(heard)
    with hunger.media():
        with hunger.waiting():
            assert heard.told == [("begin", "starved")]
        assert heard.told == [("begin", "starved"), ("end", "starved")]
    assert len(heard.told) == 2
