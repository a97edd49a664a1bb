"""The answers of cloud services, each held against the schema that is published of it."""

import json
import re
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore.stub import Stubber
from jsonschema import Draft202012Validator

from annotator.export.selection import Selection
from annotator.export.streaming import stream, write_files
from tests.integration.export.conftest import Archive
from tests.optional import import_optional

DATA = Path(__file__).resolve().parents[2] / "data"

pytestmark = pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)


def answers(archive: Archive, form: str) -> dict[str, dict[str, Any]]:
    """Return the answers by the end of the address of their media."""
    lines = b"".join(stream(archive.store.engine, form, Selection())).splitlines()
    names = ["film.mp4", "=1+1.gif", "broken.gif", "nobody.gif", "pair.gif", "still.png"]
    return dict(zip(names, map(json.loads, lines), strict=True))


def complaints(value: Any, shape: Any, at: str = "") -> list[str]:
    """Return what botocore's own validator leaves out: keys that are not in the model, enumerations, patterns, ends."""
    found: list[str] = []
    if shape.type_name == "structure":
        found += [f"{at}.{key} is unknown" for key in value.keys() - shape.members.keys()]
        for key in value.keys() & shape.members.keys():
            found += complaints(value[key], shape.members[key], f"{at}.{key}")
    elif shape.type_name == "list":
        for place, one in enumerate(value):
            found += complaints(one, shape.member, f"{at}[{place}]")
    elif shape.type_name == "string":
        if shape.enum and value not in shape.enum:
            found.append(f"{at}: {value!r} is none of {shape.enum}")
        pattern = shape.metadata.get("pattern")
        if pattern and not re.fullmatch(pattern, value):
            found.append(f"{at}: {value!r} is not {pattern}")
        if len(value) > shape.metadata.get("max", len(value)):
            found.append(f"{at} is too long")
    elif not shape.metadata.get("min", value) <= value <= shape.metadata.get("max", value):
        found.append(f"{at}: {value} is out of range")
    return found


def test_rekognition_answers_are_those_of_its_service_model(archive: Archive) -> None:
    session = botocore.session.get_session()
    client = session.create_client(
        "rekognition",
        region_name="us-east-1",
        aws_access_key_id="none",
        aws_secret_access_key="none",  # noqa: S106
    )
    shape = session.get_service_model("rekognition").operation_model("GetCelebrityRecognition").output_shape
    for answer in answers(archive, "rekognition").values():
        assert complaints(answer, shape) == []
        with Stubber(client) as stubber:
            stubber.add_response("get_celebrity_recognition", answer, {"JobId": "1"})
            assert client.get_celebrity_recognition(JobId="1") == answer


def test_what_rekognition_answers(archive: Archive) -> None:
    told = answers(archive, "rekognition")
    pair = told["pair.gif"]
    assert pair["Video"] == {"S3Object": {"Bucket": "gifs", "Name": "pair.gif"}}
    assert pair["VideoMetadata"] == {"FrameWidth": 320, "FrameHeight": 240, "DurationMillis": 1500}
    seen = [(one["Timestamp"], one["Celebrity"]["Name"]) for one in pair["Celebrities"]]
    jennifer, brad = "Jennifer Aniston", "Brad Pitt"
    assert seen == [(250, jennifer), (750, brad), (750, jennifer), (1250, brad), (1350, jennifer)]
    face = pair["Celebrities"][0]["Celebrity"]
    assert face["Confidence"] == pytest.approx(97)
    assert face["Face"] == {
        "BoundingBox": {"Width": 0.25, "Height": 0.5, "Left": 0.25, "Top": 0.25},
        "Confidence": 75.0,
    }
    assert told["nobody.gif"]["Celebrities"] == []
    assert "DurationMillis" not in told["still.png"]["VideoMetadata"]
    assert (told["broken.gif"]["JobStatus"], told["broken.gif"]["StatusMessage"]) == (
        "FAILED",
        "undecodable: It is no media.",
    )
    assert "Video" not in told["film.mp4"]


def test_video_intelligence_answers_are_messages_of_its_interface(archive: Archive) -> None:
    types = import_optional("google.cloud.videointelligence_v1p3beta1.types")
    for name, answer in answers(archive, "video-intelligence").items():
        message = types.AnnotateVideoResponse.from_json(json.dumps(answer), ignore_unknown_fields=False)
        (result,) = message.annotation_results
        assert result.input_uri.partition("?")[0].endswith(name)
        assert bool(result.error.code) == (name == "broken.gif")
    pair = types.AnnotateVideoResponse.from_json(json.dumps(answers(archive, "video-intelligence")["pair.gif"]))
    first, second, third = pair.annotation_results[0].celebrity_recognition_annotations.celebrity_tracks
    (one,) = first.celebrities
    assert (one.celebrity.display_name, one.celebrity.name) == ("Jennifer Aniston", "video-intelligence/m/03pvt")
    assert second.celebrities[0].celebrity.name == ""
    assert third.celebrities[0].confidence == pytest.approx(0.5)
    assert first.face_track.segment.end_time_offset.total_seconds() == 1.0
    place = first.face_track.timestamped_objects[1]
    assert place.time_offset.total_seconds() == 0.75
    box = place.normalized_bounding_box
    assert (box.left, box.top, box.right, box.bottom) == (0.25, 0.25, 0.5, 0.75)


def test_a_face_that_nobody_knows_is_a_track_without_celebrities(archive: Archive) -> None:
    (result,) = answers(archive, "video-intelligence")["nobody.gif"]["annotationResults"]
    (track,) = result["celebrityRecognitionAnnotations"]["celebrityTracks"]
    assert track["celebrities"] == []


def test_video_indexer_insights_are_as_they_are_documented(archive: Archive) -> None:
    schema = json.loads((DATA / "video_indexer.schema.json").read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)
    for answer in answers(archive, "video-indexer").values():
        assert [error.message for error in validator.iter_errors(answer)] == []


def test_what_video_indexer_tells(archive: Archive) -> None:
    told = answers(archive, "video-indexer")
    jennifer, brad = told["pair.gif"]["videos"][0]["insights"]["faces"]
    assert (jennifer["name"], jennifer["confidence"], brad["name"]) == ("Jennifer Aniston", 0.97, "Brad Pitt")
    assert [(one["start"], one["end"]) for one in jennifer["instances"]] == [
        ("0:00:00.000", "0:00:01.000"),
        ("0:00:01.200", "0:00:01.500"),
    ]
    (unknown,) = told["nobody.gif"]["videos"][0]["insights"]["faces"]
    assert (unknown["name"], unknown["knownPersonId"]) == ("Unknown #1", None)
    assert told["film.mp4"]["name"] == "film.mp4"
    broken = told["broken.gif"]
    assert (broken["state"], broken["videos"][0]["failureCode"]) == ("Failed", "undecodable")


def test_a_folder_has_an_answer_for_each_media(archive: Archive, tmp_path: Path) -> None:
    assert write_files(archive.store.engine, "rekognition", Selection(), tmp_path / "out") == 6
    assert json.loads((tmp_path / "out" / "s3" / "gifs" / "pair.gif.json").read_text())["JobStatus"] == "SUCCEEDED"
