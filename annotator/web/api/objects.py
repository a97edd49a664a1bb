"""The objects of the API. Times are milliseconds of presentation time; boxes are pixels of the frame, x1 y1 x2 y2."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from annotator.web.described import Told

Confidence = Annotated[float, Field(ge=0, le=1)]


class PersonTold(Told):
    """Somebody who can be named."""

    person_id: int
    name: str
    kg_mid: str | None = Field(description="Knowledge Graph id")
    media: int = Field(description="in how many the person is seen, as of the last roll-up")
    screen_ms: int


class PeopleTold(Told):
    """A page of people, most seen first."""

    items: tuple[PersonTold, ...]
    next: str | None = Field(description="give it as cursor; null after the last page")


class CompanionTold(Told):
    """Somebody who is seen with a person."""

    person_id: int
    name: str
    media: int


class MergedTold(Told):
    """Somebody who was merged into a person, and can be taken out again."""

    person_id: int
    name: str | None = Field(description="null where the person has taken the name since")
    into: str = Field(description="whom it was merged into at that time")


class PersonDetailsTold(PersonTold):
    """A person, and what else is known."""

    aliases: tuple[str, ...]
    photographs: int = Field(description="behind the prototype of the model that is shown")
    enrolled: int = Field(description="photographs that were added here")
    best_confidence: Confidence | None
    companions: tuple[CompanionTold, ...]
    merged: tuple[MergedTold, ...] = Field(description="the last one first")


class KgMidTold(Told):
    """A Knowledge Graph id, and whose it is."""

    person_id: int
    name: str
    kg_mid: str


class UnmergedTold(PersonDetailsTold):
    """A person who is somebody of their own again."""

    kg_mid_stays_with: KgMidTold | None = Field(
        description="somebody else who has the person's Knowledge Graph id by now, and keeps it; null where nobody has"
    )


class AppearanceTold(Told):
    """One person in one media."""

    person_id: int
    name: str
    confidence: Confidence
    first_ms: int
    last_ms: int
    screen_ms: int


class FoundTold(Told):
    """A media that shows whom was asked for."""

    media_id: int
    uri: str
    name: str = Field(description="as whoever gave it called it, else the last part of its address")
    width_px: int
    height_px: int
    duration_ms: int | None
    labelled_at: datetime
    appearances: tuple[AppearanceTold, ...]


class FoundPageTold(Told):
    """A page of media, surest first."""

    items: tuple[FoundTold, ...]
    next: str | None = Field(description="give it as cursor; null after the last page")


class BoxTold(Told):
    """Where a face is at a time."""

    pts_ms: int
    xyxy: tuple[int, int, int, int]


class CandidateTold(Told):
    """Who a face may be."""

    name: str
    confidence: Confidence


class TrackTold(Told):
    """A face that was followed through a shot."""

    track: int
    name: str | None = Field(description="null where nobody known is seen")
    confidence: Confidence | None
    start_ms: int
    end_ms: int
    screen_ms: int
    candidates: tuple[CandidateTold, ...]
    boxes: tuple[BoxTold, ...]


class MediaTold(Told):
    """A media that is registered."""

    media_id: int
    uri: str
    name: str = Field(description="as whoever gave it called it, else the last part of its address")
    sha256: str | None = Field(description="of its bytes; null until they were read")


class MediaPageTold(Told):
    """A page of media, newest first."""

    items: tuple[MediaTold, ...]
    next: str | None = Field(description="give it as cursor; null after the last page")


class RelativeTold(Told):
    """Another media that shows the same clip."""

    media_id: int
    uri: str
    same_bytes: bool = Field(
        description="both have one annotation; else each has its own, with its own times and boxes"
    )


class FamilyTold(Told):
    """The media that show one clip: of the same bytes, or made anew."""

    number: int = Field(description="names the family; it changes where two become one")
    size: int = Field(description="how many media it has, this one among them")
    representative: int = Field(description="the media_id of the one that was registered first")
    media: tuple[RelativeTold, ...] = Field(max_length=12, description="the others, newest first, at most 12")


class MediaDetailsTold(MediaTold):
    """A media, and who is in it when."""

    status: str = Field(description="annotated, damaged, failed or waiting")
    reason: str | None
    model: str | None
    duration_ms: int | None
    people: tuple[AppearanceTold, ...]
    tracks: tuple[TrackTold, ...]
    family: FamilyTold | None = Field(description="null where no other media shows the same clip")
