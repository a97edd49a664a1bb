"""The page is one well-formed file that refers to nothing outside, whatever names and addresses hold."""

import base64
import hashlib
import re
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from itertools import pairwise

import pytest

from annotator.explaining.explanation import Said, SaidWord
from annotator.explaining.page import MOST_LEFT_OUT, MOST_TRACKS, explanation_html
from annotator.types import Identity, MediaRef, TrackLabel
from tests.explained_media import KNOWN_PEOPLE, Placed, explained

VOID = {"meta", "img", "br", "circle", "path"}
HOSTILE = "</bdi><script>alert(1)</script><img src=x onerror=alert(1)>\"'&\u202e"


class Page(HTMLParser):
    """Reads a page and notes what a browser would see."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def test_the_page_is_well_formed_and_can_be_read_without_seeing_it() -> None:
    page = Page(explanation_html(explained()))
    assert page.open == []
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {str(link["href"]).removeprefix("#") for link in page.all("a")} <= set(ids)
    headings = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h\d", tag)]
    assert headings[0] == 1
    assert headings.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(headings))
    images = page.all("img")
    assert len(images) == 16
    assert "Face 1 of track 1, at 0.00 s: counts" in [image["alt"] for image in images]
    assert all(drawing["role"] == "img" and drawing["aria-label"] for drawing in page.all("svg"))
    assert all(header["scope"] for header in page.all("th"))
    assert len(page.all("caption")) == len(page.all("table"))
    assert page.all("html") == [{"lang": "en"}]


def test_the_page_refers_to_nothing_outside_and_runs_nothing() -> None:
    text = explanation_html(explained(names=[f"{HOSTILE} {number}" for number in range(KNOWN_PEOPLE)]))
    page = Page(text)
    assert page.all("script") == page.all("link") == page.all("iframe") == []
    for tag, attributes in page.tags:
        assert not any(name.startswith("on") for name in attributes), tag
        for name in ("src", "href"):
            assert attributes.get(name) is None or str(attributes[name]).startswith(("data:image/jpeg;base64,", "#"))
    styles = "".join(re.findall(r"<style>(.*?)</style>", text, re.DOTALL))
    assert "url(" not in styles
    assert "@import" not in styles
    (policy,) = [meta["content"] for meta in page.all("meta") if meta.get("http-equiv") == "Content-Security-Policy"]
    assert str(policy).startswith("default-src 'none'")


def test_hostile_names_and_addresses_are_shown_as_they_are() -> None:
    media = MediaRef(f"{HOSTILE}.gif", "https://ann:hunter2@clips.example/<b>.gif?X-Amz-Signature=f00d")
    page = Page(explanation_html(explained(media=media, names=[f"{HOSTILE} {one}" for one in range(KNOWN_PEOPLE)])))
    assert f"Who is in {HOSTILE}.gif, and why" in page.text
    assert f"Track 0: {HOSTILE} 3" in page.text
    assert "https://ann:***@clips.example/<b>.gif?X-Amz-Signature=***" in page.text
    assert "hunter2" not in page.text
    assert "f00d" not in page.text
    assert page.all("b") == []


def test_what_people_have_said_is_on_the_page_and_in_the_json() -> None:
    explanation = explained()
    word = SaidWord("is not", Identity(HOSTILE), HOSTILE, datetime(2026, 11, 26, tzinfo=UTC))
    first = replace(explanation.tracks[0], said=Said((word,), TrackLabel("unknown", ())))
    page = Page(explanation_html(replace(explanation, tracks=(first, *explanation.tracks[1:]))))
    assert page.open == []
    assert page.all("script") == []
    assert "Track 0: unknown (corrected)" in page.text
    assert f"{HOSTILE} has said on 2026-11-26 that it is not {HOSTILE}." in page.text
    told, other = replace(explanation, tracks=(first, explanation.tracks[1])).to_json()["tracks"]
    assert other["corrected"] is None
    assert (told["identity"], told["corrected"]["identity"], told["corrected"]["verdict"]) == (
        "Person 3",
        None,
        "unknown",
    )
    assert told["corrected"]["words"] == [
        {"verdict": "is not", "identity": HOSTILE, "said_by": HOSTILE, "said_at": "2026-11-26T00:00:00+00:00"}
    ]


def test_the_numbers_are_those_of_the_explanation() -> None:
    explanation = explained()
    text = Page(explanation_html(explanation)).text
    for track in explanation.tracks:
        for person in track.people:
            assert f"{person.identity.name}{person.photographs}{person.cosine:.3f}" in text
    made_with = explanation.made_with
    for told in (made_with.model, made_with.labelling_digest, made_with.network_digest, "decoder.sampling.frames20"):
        assert told in text


def test_the_point_of_the_track_is_on_its_curve() -> None:
    text = explanation_html(explained(track_no=2))
    (path,) = re.findall(r'class="curve" d="M([^"]+)"', text)
    curve = [tuple(map(float, point.split())) for point in path.split("L")]
    nearest = re.search(r'<circle class="nearest" cx="([\d.]+)" cy="([\d.]+)"', text)
    assert nearest is not None
    across, down = map(float, nearest.groups())
    beside = min(curve, key=lambda point: abs(point[0] - across))
    assert abs(beside[1] - down) < 2
    assert [x for x, _ in curve] == sorted(x for x, _ in curve)
    threshold = re.search(r'class="threshold" d="M([\d.]+) ', text)
    assert threshold is not None
    assert across < float(threshold[1])


def test_a_media_without_a_face_has_a_page_that_says_so() -> None:
    page = Page(explanation_html(explained(())))
    assert "No face was found" in page.text
    assert page.all("article") == page.all("img") == []


def test_what_was_broken_is_told() -> None:
    explanation = explained(())
    broken = replace(explanation, clip=replace(explanation.clip, damage="cut off at <3 s>", duration_ms=None))
    text = Page(explanation_html(broken)).text
    assert "cut off at <3 s>" in text
    assert "still picture" in text


def test_of_very_many_tracks_the_longest_are_explained() -> None:
    explanation = explained(track_no=0)
    (track,) = explanation.tracks
    many = tuple(replace(track, track_no=number, screen_time_ms=number) for number in range(MOST_TRACKS + 2))
    page = Page(explanation_html(replace(explanation, tracks=many, tracks_in_media=len(many))))
    assert [one["id"] for one in page.all("article")] == [f"track-{number}" for number in range(2, MOST_TRACKS + 2)]
    assert len(page.all("a")) == MOST_TRACKS
    assert f"the {MOST_TRACKS} that are longest on screen" in page.text
    assert len(page.all("tr")) >= MOST_TRACKS + 2


@pytest.mark.parametrize("most_crops", [0, 4096])
def test_of_very_many_faces_the_best_are_shown(most_crops: int) -> None:
    long = Placed.steady(3, 0, range(60), side=100)
    page = Page(explanation_html(explained([long], most_crops=most_crops)))
    assert "Faces that were left out (55)" in page.text
    assert f"The {MOST_LEFT_OUT} best of the others are shown" in page.text
    assert len(page.all("img")) == 5 + (MOST_LEFT_OUT if most_crops else 0)
    assert page.text.count("no picture was kept") == (0 if most_crops else MOST_LEFT_OUT)


def test_the_page_allows_its_own_style_and_no_other() -> None:
    html = explanation_html(explained())
    (style,) = re.findall(r"<style>(.*?)</style>", html, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', html)
    assert policy == f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'"
    assert " style=" not in html
    assert re.search(r'<dd class="share-\d+">', html)
