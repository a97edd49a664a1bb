"""All settings together."""

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from annotator.settings.groups import (
    BacklogSettings,
    CallbackSettings,
    DecodeSettings,
    DetectionSettings,
    EmbeddingSettings,
    FetchSettings,
    GateSettings,
    LogSettings,
    MetricsSettings,
    RetentionSettings,
    RetrainingSettings,
    SamplingSettings,
    ScalingSettings,
    WebSettings,
    WorkerSettings,
)
from annotator.settings.values import Count, Folder, Probability, SecretUrl, xdg_folder

PREFIX = "ANNOTATOR_"
NESTED = "__"


class Settings(BaseSettings):
    """All settings. Build it with ``load_settings``, which also refuses misspelled names."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter=NESTED,
        env_ignore_empty=True,
        env_file_encoding="utf-8",
        dotenv_filtering="only_existing",  # names of other programs may stand in .env; ours are checked below
        frozen=True,
        extra="forbid",
        validate_default=True,
    )

    data_dir: Folder = Field(
        default_factory=lambda: xdg_folder("XDG_DATA_HOME", ".local/share"),
        description="what is kept: the database, enrolled people",
    )
    cache_dir: Folder = Field(
        default_factory=lambda: xdg_folder("XDG_CACHE_HOME", ".cache"),
        description="what can be made again: compiled networks, portraits of the demo",
    )
    database_url: SecretUrl = Field(
        default_factory=lambda data: SecretUrl(f"sqlite:///{data['data_dir'] / 'annotations.db'}"),
        description="sqlite:///FILE or postgresql://USER:PASSWORD@HOST:PORT/NAME",
    )
    broker_url: SecretUrl | None = Field(default=None, description="redis://…, for workers; not needed to annotate")
    s3_endpoint_url: str | None = Field(default=None, description="an S3 service other than Amazon's")
    s3_region: str | None = Field(default=None, description="region of the buckets")
    s3_access_key_id: str | None = Field(default=None, description="else what boto3 finds (AWS_…, ~/.aws)")
    s3_secret_access_key: SecretStr | None = Field(default=None, description="goes with s3_access_key_id")
    device: Literal["auto", "cpu", "gpu"] = Field(default="auto", description="what the networks run on")
    threads: Count | None = Field(
        default=None,
        description="processor threads of the networks; default: all cores; annotator annotate decodes as many media "
        "at once, from 2 to 16",
    )
    model: str = Field(
        default="starter",
        min_length=1,
        description="name of the model, NAME@VERSION of an installed one, or its folder; s3://BUCKET/FOLDER too",
    )
    models_uri: str | None = Field(
        default=None, description="folder or s3://BUCKET/PREFIX of installed models; default: models in the data folder"
    )
    prior: Probability | None = Field(
        default=None,
        description="share of tracks that show somebody whom the model knows: confidences are stated under it; "
        "annotator calibrate estimates it; default: the model's",
    )
    min_precision: Probability | None = Field(
        default=None, description="give only names whose confidence is at least this; the others are unknown"
    )
    sampling: SamplingSettings = SamplingSettings()
    detection: DetectionSettings = DetectionSettings()
    embedding: EmbeddingSettings = EmbeddingSettings()
    fetch: FetchSettings = FetchSettings()
    decode: DecodeSettings = DecodeSettings()
    worker: WorkerSettings = WorkerSettings()
    backlog: BacklogSettings = BacklogSettings()
    retention: RetentionSettings = RetentionSettings()
    scaling: ScalingSettings = ScalingSettings()
    callbacks: CallbackSettings = CallbackSettings()
    gate: GateSettings = GateSettings()
    retraining: RetrainingSettings = RetrainingSettings()
    metrics: MetricsSettings = MetricsSettings()
    web: WebSettings = WebSettings()
    log: LogSettings = LogSettings()
    tracing: bool = Field(default=False, description="send traces of workers; where to, OTEL_EXPORTER_OTLP_… says")

    def for_showing(self) -> "Settings":
        """Return the settings by which `annotator web` brings media for pages, for which somebody waits."""
        timeout_s = min(self.fetch.timeout_s, self.web.show_timeout_s)
        return self.model_copy(update={"fetch": self.fetch.model_copy(update={"timeout_s": timeout_s})})

    def for_visitors(self) -> "Settings":
        """Return the settings by which `annotator web` reads media.

        Its visitors name addresses, and the network of this machine is not theirs, even where the archive is in it.
        """
        fetch = self.fetch.model_copy(update={"allow_private_addresses": self.web.allow_private_addresses})
        return self.model_copy(update={"fetch": fetch})

    @property
    def uploads_folder(self) -> Path:
        """Where what visitors of the web application upload is kept."""
        return self.web.uploads or self.data_dir / "uploads"
