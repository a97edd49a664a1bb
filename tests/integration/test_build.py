"""The stages are put together as the settings say."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from annotator.build import STARTER_FOLDER, build_annotator, build_engine, open_bundle
from annotator.errors import ConfigError, ModelError, SourceNotFoundError
from annotator.runtime import Engine, NetworkDefinition, Precision, Runner
from annotator.settings import Settings, load_settings

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

ACCESS = {"s3_region": "us-east-1", "s3_access_key_id": "test", "s3_secret_access_key": "secret"}


@pytest.fixture(scope="module")
def endpoint_url() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def client(endpoint_url: str) -> Iterator["S3Client"]:
    client = boto3.client(
        "s3",
        endpoint_url=endpoint_url,
        region_name=ACCESS["s3_region"],
        aws_access_key_id=ACCESS["s3_access_key_id"],
        aws_secret_access_key=ACCESS["s3_secret_access_key"],
    )
    client.create_bucket(Bucket="models")
    for path in STARTER_FOLDER.iterdir():
        client.put_object(Bucket="models", Key=f"starter/{path.name}", Body=path.read_bytes())
    yield client
    client.close()


class NotingEngine:
    """An engine that notes in which precision networks are asked for."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.asked: dict[str, Precision] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def load(self, network: NetworkDefinition, *, precision: Precision = "f32") -> Runner:
        self.asked[network.name] = precision
        return self._engine.load(network, precision=precision)


def test_faces_of_clips_are_embedded_in_16_bits_by_default_and_in_float32_as_another_network(cache_dir: Path) -> None:
    settings = load_settings(env_file=None, device="cpu", threads=1, cache_dir=cache_dir)
    exact_settings = load_settings(
        env_file=None, device="cpu", threads=1, cache_dir=cache_dir, embedding={"precision": "f32"}
    )
    engine = NotingEngine(build_engine(settings))
    spec = build_annotator(settings, engine=engine).network_spec
    assert engine.asked["sface"] == "bf16"
    assert "embedding" not in spec, "else each archive would have to be annotated anew"
    exact_spec = build_annotator(exact_settings, engine=engine).network_spec
    assert engine.asked["sface"] == "f32"
    assert exact_spec == {**spec, "embedding": {"precision": "f32"}}


def settings_for(model: str, folder: Path, endpoint_url: str | None = None) -> Settings:
    return load_settings(
        env_file=None,
        model=model,
        data_dir=folder / "data",
        cache_dir=folder / "cache",
        s3_endpoint_url=endpoint_url,
        **ACCESS,
    )


@pytest.mark.servers
@pytest.mark.usefixtures("client")
def test_a_bundle_of_a_bucket_is_the_bundle_of_the_folder(endpoint_url: str, tmp_path: Path) -> None:
    settings = settings_for("s3://models/starter", tmp_path, endpoint_url)
    fetched, packaged = open_bundle(settings), open_bundle(settings_for("starter", tmp_path))
    assert fetched.digest == packaged.digest
    assert fetched.identities == packaged.identities


@pytest.mark.servers
def test_a_bundle_that_was_changed_in_the_bucket_is_refused(
    client: "S3Client", endpoint_url: str, tmp_path: Path
) -> None:
    client.put_object(Bucket="models", Key="starter/labels.csv", Body=b"Label,Index\nSomebody_Else,0\n")
    with pytest.raises(ModelError, match=r"labels\.csv"):
        open_bundle(settings_for("s3://models/starter", tmp_path, endpoint_url))


@pytest.mark.servers
@pytest.mark.usefixtures("client")
def test_a_bundle_that_is_not_in_the_bucket_is_said(endpoint_url: str, tmp_path: Path) -> None:
    with pytest.raises(SourceNotFoundError, match="s3://models/nobody"):
        open_bundle(settings_for("s3://models/nobody", tmp_path, endpoint_url))


def test_a_model_that_nobody_knows_is_said_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="annotator models list"):
        open_bundle(settings_for("unheard-of", tmp_path))
