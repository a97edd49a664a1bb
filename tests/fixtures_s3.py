"""A real S3 endpoint and a client of it; each test makes a bucket of its own.

What they need is imported in the fixtures: it takes a second, and most tests need none of it.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from annotator.media.limits import S3Access

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


@pytest.fixture(scope="session")
def access() -> Iterator[S3Access]:
    from moto.server import ThreadedMotoServer  # noqa: PLC0415

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield S3Access(f"http://{host}:{port}", "us-east-1", "test", "secret")
    server.stop()


@pytest.fixture(scope="session")
def client(access: S3Access) -> Iterator["S3Client"]:
    import boto3  # noqa: PLC0415

    client = boto3.client(
        "s3",
        endpoint_url=access.endpoint_url,
        region_name=access.region,
        aws_access_key_id=access.access_key_id,
        aws_secret_access_key=access.secret_access_key,
    )
    yield client
    client.close()
