"""How long it still takes, and how many people will have enough faces."""

from dataclasses import dataclass, replace
from math import sqrt

ENOUGH_FACES = 5
"""Usable faces from which somebody can be trained on and evaluated."""

_Z = 1.96  # 95 %


@dataclass(frozen=True, slots=True)
class Forecast:
    """What is known so far, and what follows from it.

    Attributes:
        people: of the list.
        through: people who are through, in this run or before.
        covered: of these, people with enough faces.
        worked: people of this run, who took time.
        spent_s: that they took.

    """

    people: int
    through: int = 0
    covered: int = 0
    worked: int = 0
    spent_s: float = 0.0

    def with_person(self, faces: int, took_s: float | None) -> "Forecast":
        """Return the forecast with one more person.

        Args:
            faces: usable ones.
            took_s: None for somebody who was through before this run.

        """
        return replace(
            self,
            through=self.through + 1,
            covered=self.covered + (faces >= ENOUGH_FACES),
            worked=self.worked + (took_s is not None),
            spent_s=self.spent_s + (took_s or 0.0),
        )

    @property
    def left_s(self) -> float | None:
        """Seconds that the rest will take at the pace so far; None while there is none."""
        return (self.people - self.through) * self.spent_s / self.worked if self.worked else None

    @property
    def coverage(self) -> tuple[int, int] | None:
        """The fewest and the most people who will have enough faces, with 95 % confidence (Wilson's interval)."""
        if not self.through:
            return None
        rest, count, share = self.people - self.through, self.through, self.covered / self.through
        centre = (share + _Z**2 / (2 * count)) / (1 + _Z**2 / count)
        half = _Z / (1 + _Z**2 / count) * sqrt(share * (1 - share) / count + _Z**2 / (4 * count**2))
        low, high = max(0.0, centre - half), min(1.0, centre + half)
        return self.covered + int(rest * low), self.covered + round(rest * high + 0.5) if rest else self.covered

    def in_words(self) -> str:
        """Return it as one line.

        >>> Forecast(people=100, through=20, covered=15, worked=20, spent_s=600.0).in_words()
        '20 of 100 people, 15 with 5 faces or more; in the end 57 to 87; about 40 min left'
        """
        text = f"{self.through} of {self.people} people, {self.covered} with {ENOUGH_FACES} faces or more"
        if self.coverage and self.through < self.people:
            low, high = self.coverage
            text += f"; in the end {low} to {min(high, self.people)}"
        if self.left_s is not None and self.through < self.people:
            minutes = self.left_s / 60
            text += f"; about {minutes / 60:.1f} h left" if minutes >= 90 else f"; about {minutes:.0f} min left"
        return text
