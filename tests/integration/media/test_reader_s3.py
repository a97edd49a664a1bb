"""Objects of a real S3 server."""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from annotator.errors import (
    ConfigError,
    ForbiddenSourceError,
    MediaTooLargeError,
    SourceChangedError,
    SourceNotFoundError,
    SourceUnavailableError,
    UnsupportedMediaError,
)
from annotator.media import DecodeLimits, FetchLimits, MediaReader, S3Access, Sampling, expand_sources, sample_frames
from annotator.types import MediaRef
from tests.media_factory import BLUE, RED, GifPart, flat, gif_bytes

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

pytestmark = pytest.mark.servers
CONTENT = gif_bytes([GifPart(flat(RED)), GifPart(flat(BLUE))])


@pytest.fixture
def bucket(client: "S3Client", request: pytest.FixtureRequest) -> str:
    name = f"bucket-{hashlib.sha256(request.node.name.encode()).hexdigest()[:20]}"
    client.create_bucket(Bucket=name)
    for key in ("clips/b.gif", "clips/a b+c%20.gif", "clips/deep/c.gif", "clips.txt", "clips/folder/"):
        client.put_object(Bucket=name, Key=key, Body=CONTENT)
    return name


def reader_of(access: S3Access, folder: Path, **limits: object) -> MediaReader:
    fetch = FetchLimits(**({"temp_dir": folder, "connect_timeout_s": 2.0} | limits))  # type: ignore[arg-type]
    return MediaReader(fetch=fetch, decode=DecodeLimits(), s3=access)


def test_objects_below_a_prefix_are_listed_in_the_order_of_keys(access: S3Access, bucket: str) -> None:
    media = expand_sources([f"s3://{bucket}/clips/"], s3=access)
    assert [one.media_id for one in media] == ["clips/a b+c%20.gif", "clips/b.gif", "clips/deep/c.gif"]
    assert all(one.etag for one in media)
    assert media == expand_sources([f"s3://{bucket}/clips"], s3=access)
    assert len(expand_sources([f"s3://{bucket}"], s3=access)) == 4


def test_one_object_stands_for_itself(access: S3Access, bucket: str) -> None:
    (media,) = expand_sources([f"s3://{bucket}/clips/b.gif"], s3=access)
    assert media.uri == f"s3://{bucket}/clips/b.gif"


def test_what_is_not_there_is_not_found(access: S3Access, bucket: str, tmp_path: Path) -> None:
    for source in (f"s3://{bucket}/clip", "s3://no-such-bucket-here/a"):
        with pytest.raises(SourceNotFoundError):
            expand_sources([source], s3=access)
    with (
        pytest.raises(SourceNotFoundError),
        reader_of(access, tmp_path).open(MediaRef("x", f"s3://{bucket}/none.gif")),
    ):
        pytest.fail("opened")
    assert list(tmp_path.iterdir()) == []


def test_an_object_is_fetched_hashed_decoded_and_removed(access: S3Access, bucket: str, tmp_path: Path) -> None:
    reader = reader_of(access, tmp_path)
    for media in expand_sources([f"s3://{bucket}/clips"], s3=access):
        with reader.open(media) as local:
            assert local.path.read_bytes() == CONTENT
            assert local.sha256 == hashlib.sha256(CONTENT).hexdigest()
            with sample_frames(local, sampling=Sampling.even(), limits=reader.decode) as frames:
                assert sum(len(batch) for batch in frames) == 2
        assert list(tmp_path.iterdir()) == []


def test_an_object_that_was_replaced_is_noticed(
    access: S3Access, client: "S3Client", bucket: str, tmp_path: Path
) -> None:
    (media,) = expand_sources([f"s3://{bucket}/clips/b.gif"], s3=access)
    client.put_object(Bucket=bucket, Key="clips/b.gif", Body=CONTENT + b"more")
    with pytest.raises(SourceChangedError, match="register it anew"), reader_of(access, tmp_path).open(media):
        pytest.fail("opened")
    assert list(tmp_path.iterdir()) == []


def test_an_object_over_the_limit_is_refused(access: S3Access, bucket: str, tmp_path: Path) -> None:
    reader = reader_of(access, tmp_path, max_bytes=len(CONTENT) - 1)
    with pytest.raises(MediaTooLargeError), reader.open(MediaRef("x", f"s3://{bucket}/clips/b.gif")):
        pytest.fail("opened")
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_does_not_answer_may_answer_later(tmp_path: Path) -> None:
    nobody = S3Access("http://127.0.0.1:1", "us-east-1", "test", "secret")
    with pytest.raises(SourceUnavailableError), reader_of(nobody, tmp_path).open(MediaRef("x", "s3://bucket/key")):
        pytest.fail("opened")


def test_missing_credentials_are_a_matter_of_settings(
    access: S3Access, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    nameless = S3Access(access.endpoint_url, "us-east-1")
    with pytest.raises(ConfigError, match="credentials"), reader_of(nameless, tmp_path).open(MediaRef("x", "s3://b/k")):
        pytest.fail("opened")


@pytest.mark.parametrize("uri", ["s3://", "s3:///key", "s3://Bad Bucket/key"])
def test_an_address_without_a_valid_bucket_is_refused(access: S3Access, tmp_path: Path, uri: str) -> None:
    with (
        pytest.raises((UnsupportedMediaError, ForbiddenSourceError)),
        reader_of(access, tmp_path).open(MediaRef("x", uri)),
    ):
        pytest.fail("opened")


def test_the_secret_is_not_shown(access: S3Access) -> None:
    assert "secret" not in repr(S3Access("http://x", "r", "id", "very-secret")).replace("secret_access_key", "")
    assert access.endpoint_url
