"""Settings of one thing each: what can be set of it, and within which bounds."""

import tempfile
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, field_validator, model_validator
from pydantic_settings import NoDecode

from annotator.settings.values import HOUR_S, MIB, Count, Days, Folder, Seconds, Share, listed


class Group(BaseModel):
    """Settings of one thing; neither changed nor added to."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class SamplingSettings(Group):
    """Which frames are looked at; ``all`` goes before ``every_ms``, which goes before ``frames``."""

    frames: Count = Field(default=20, description="frames a clip, spread evenly over its displayed time")
    every_ms: Count | None = Field(default=None, description="instead: one frame every so many milliseconds")
    all: bool = Field(default=False, description="instead: every distinct frame")

    @model_validator(mode="after")
    def _one_policy(self) -> Self:
        if self.all and self.every_ms is not None:
            msg = "give every_ms or all, not both"
            raise ValueError(msg)
        return self


class DetectionSettings(Group):
    """Which faces are looked for."""

    min_face_px: Count = Field(default=20, description="smallest face, pixels of the frame")
    min_face_fraction: Annotated[float, Field(gt=0, lt=1)] | None = Field(
        default=None, description="smallest face as a part of the frame's short side; the larger of the two counts"
    )
    search_every: Count = Field(
        default=5, description="frames of which one at least is searched in full, the rest where it shows faces; 1: all"
    )
    weights_dir: Folder | None = Field(
        default=None, description="folder with det1.npy, det2.npy and det3.npy; default: the packaged weights"
    )


class EmbeddingSettings(Group):
    """How the faces of clips are embedded."""

    precision: Literal["auto", "f32"] = Field(
        default="auto",
        description="auto: SFace in 16 bits where the processor or GPU is quicker so; f32 counts as another network",
    )


class FetchSettings(Group):
    """What may be read from a URL or a bucket."""

    max_bytes: Count = Field(default=2048 * MIB, description="largest media")
    timeout_s: Seconds = Field(default=600.0, description="longest time for one media, redirects included")
    allow_private_addresses: bool = Field(
        default=False, description="read http(s) URLs of private, loopback and link-local addresses"
    )


class DecodeSettings(Group):
    """What the decoder's child process may use for one media."""

    max_pixels: Count = Field(default=50_000_000, description="largest frame, width x height")
    max_frames: Count = Field(default=432_000, description="most frames: 4 h at 30 a second")
    max_duration_s: Seconds = Field(default=4.0 * HOUR_S, description="longest clip")
    timeout_s: Seconds = Field(default=900.0, description="time spent waiting for decoders")
    memory_bytes: Count = Field(default=768 * MIB, description="private memory")
    cpu_s: Seconds = Field(default=1800.0, description="processor time")


class WorkerSettings(Group):
    """How a worker and the backlog behave; the protocol is in docs/queue.md."""

    concurrency: Count = Field(default=4, description="chunks in hand at once, a thread each")
    decoders: Count = Field(
        default=2, description="media decoded at once; more than one leaves a decoder to small media beside films"
    )
    heartbeat_s: Seconds = Field(default=10.0, description="time between two heartbeats")
    session_timeout_s: Seconds = Field(default=45.0, description="silence after which a worker counts as lost")
    sweep_every_s: Seconds = Field(default=15.0, description="time between two searches for lost work")
    feed_every_s: Seconds = Field(default=1.0, description="time between two looks for chunks that are due")
    unclaimed_after_s: Seconds = Field(default=900.0, description="time until an unclaimed chunk is queued again")
    gif_deadline_s: Seconds = Field(default=600.0, description="longest time for one small media")
    film_deadline_s: Seconds = Field(default=1800.0, description="longest time for one film")
    visibility_timeout_s: Seconds = Field(
        default=3600.0, description="the broker's; at least twice the longest deadline"
    )
    max_attempts: Count = Field(default=5, description="tries until a passing trouble counts as failed")
    max_queued_chunks: Count = Field(
        default=64, description="most chunks of a lane in a queue (back-pressure); more for many workers"
    )
    chunk_media: Annotated[int, Field(ge=1, le=128)] = Field(
        default=64,
        description="most media of one message; 128 where workers do hundreds a second; docs/operations.md",
    )
    chunk_bytes: Count = Field(default=256 * MIB, description="most bytes of the media of one message")
    write_media: Count = Field(default=128, description="most media written in one transaction")
    write_every_ms: Count = Field(default=250, description="longest wait of a finished media for its transaction")
    drain_s: Seconds = Field(default=12.0, description="time from SIGTERM to leaving")
    alive_file: Folder = Field(
        default_factory=lambda: Path(tempfile.gettempdir()) / "annotator-worker.alive",
        description="where a worker says that it lives, for `annotator worker ready` and `alive`",
    )
    spot_notice: Literal["aws", "gcp"] | None = Field(
        default=None, description="ask the machine's metadata service whether it is about to be taken away"
    )
    spot_url: str | None = Field(default=None, description="the metadata service, where it is not at its usual address")

    @model_validator(mode="after")
    def _broker_outlasts_deadlines(self) -> Self:
        longest = max(self.gif_deadline_s, self.film_deadline_s)
        if self.visibility_timeout_s < 2 * longest:
            msg = f"visibility_timeout_s must be at least twice the longest deadline ({2 * longest:g})"
            raise ValueError(msg)
        return self


class BacklogSettings(Group):
    """How `annotate-backlog` lists."""

    listers: Annotated[int, Field(ge=1, le=64)] = Field(
        default=4, description="parts of a bucket that are listed and registered at once"
    )
    attempts: Count = Field(
        default=8, description="tries of a request that the bucket refuses for now; each waits longer"
    )
    sqs_url: str | None = Field(default=None, description="queue of the bucket's notifications, for --follow")
    sqs_endpoint_url: str | None = Field(
        default=None, description="the service of sqs_url, where that URL does not begin with it"
    )
    poll_every_s: Seconds | None = Field(
        default=None, description="time between two listings of --follow; default: 300, with sqs_url 86400"
    )
    max_gone_share: Share = Field(
        default=0.2, description="largest share of known media that a listing may lack; else none is marked as gone"
    )
    min_gone: Annotated[int, Field(ge=0)] = Field(
        default=1000, description="so many may be gone in any case: fewer are no sign of a broken listing"
    )


class RetentionSettings(Group):
    """How long beat keeps what nobody uses any more; docs/operations.md."""

    labellings_days: Days = Field(
        default=30.0, description="a labelling that is not shown keeps its labels so long after its last use"
    )
    counts_days: Days = Field(
        default=30.0, description="so long after its end a backlog has counts of its own; they are summed up then"
    )


class ScalingSettings(Group):
    """How many workers beat asks for, in the table ``scaling``; what starts them reads it there."""

    queues: Annotated[tuple[str, ...], NoDecode, BeforeValidator(listed)] = Field(
        default=("gpu", "cpu"), description="queues whose workers are started as needed, with commas"
    )
    target_drain_s: Seconds = Field(default=3600.0, description="time in which all that waits should be done")
    min_workers: Annotated[int, Field(ge=0)] = Field(default=0, description="fewest of a queue, with nothing to do too")
    max_workers: Count = Field(default=20, description="most of a queue")


class CallbackSettings(Group):
    """Who may be called back, and how; docs/callbacks.md."""

    allowed_hosts: Annotated[tuple[str, ...], NoDecode, BeforeValidator(listed)] = Field(
        default=(), description="hosts, *.DOMAINs and private networks (10.0.0.0/8) that may be called, with commas"
    )
    secret: SecretStr | None = Field(default=None, min_length=16, description="signs call-backs; receivers know it too")
    previous_secret: SecretStr | None = Field(
        default=None, min_length=16, description="signs them too, while receivers change over to the new one"
    )
    timeout_s: Seconds = Field(default=10.0, description="longest time of one call-back")


class GateSettings(Group):
    """What a model must keep to be promoted; docs/models.md."""

    max_flipped: Share = Field(default=0.01, description="largest share of named tracks that get another name")
    max_dropped: Share = Field(default=0.05, description="largest share of named tracks that lose their name")
    max_person_lost: Share = Field(
        default=0.2, description="largest share of one person's tracks that lose the name, to another one or to none"
    )
    person_tracks: Count = Field(default=5, description="fewest tracks of a person for max_person_lost to count")
    max_golden_lost: Annotated[int, Field(ge=0)] = Field(
        default=0, description="most people of the golden clips that are found no more, less those found anew"
    )
    max_golden_wrong: Annotated[int, Field(ge=0)] = Field(
        default=0, description="most wrong names on the golden clips beyond those of the former model"
    )
    needs_golden: bool = Field(default=False, description="promote nothing that was not tried on golden clips")


class RetrainingSettings(Group):
    """When a model is trained anew, and what it must keep; docs/retraining.md."""

    cron: str | None = Field(
        default=None, description="when beat begins it, UTC: minute hour day month weekday, e.g. 0 3 * * 1"
    )
    look_every_s: Seconds = Field(default=20.0, description="time between two looks of beat whether it is due")
    experiment: str | None = Field(default=None, description="which experiment beat retrains")
    workdir: Folder = Field(default=Path("workdir"), description="its work directory, for the queue trainer")
    name: str | None = Field(default=None, description="of the model; default: the experiment's name")
    strangers: Folder | None = Field(
        default=None, description="folder of aligned crops of nobody's faces, to measure and calibrate with"
    )
    golden: Folder | None = Field(default=None, description="CSV of who is in the golden clips, for the gate")
    clips: Folder | None = Field(default=None, description="folder of the golden clips")


class MetricsSettings(Group):
    """Where a worker and beat show their metrics to Prometheus; docs/metrics.md lists them."""

    port: Annotated[int, Field(ge=0, le=65535)] = Field(default=0, description="port of /metrics; 0 shows none")
    host: str = Field(default="127.0.0.1", description="address it listens at; 0.0.0.0 for all")


class OidcSettings(Group):
    """Logging in to `annotator web` elsewhere, by OpenID Connect; docs/web.md."""

    issuer: str | None = Field(
        default=None, pattern=r"^https?://[^?#@\s]+$", description="the identity provider, exactly as it calls itself"
    )
    client_id: str | None = Field(default=None, min_length=1, description="what it calls this application")
    client_secret: SecretStr | None = Field(default=None, description="what it knows this application by")
    client_secret_file: Folder | None = Field(default=None, description="instead: a file that holds it")
    label: str | None = Field(
        default=None, min_length=1, max_length=40, description="what the page calls it; default: the issuer's host"
    )
    role_claim: str = Field(
        default="groups", min_length=1, description="claim of the token that gives the role; in others, with dots"
    )
    roles: Annotated[tuple[str, ...], NoDecode, BeforeValidator(listed)] = Field(
        default=(), description="VALUE=ROLE with commas: what values of the claim give; others may not log in"
    )
    name_claim: str = Field(
        default="preferred_username", min_length=1, description="claim of the token that names new accounts"
    )

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if self.issuer is not None and (self.client_id is None or not self.roles):
            msg = "issuer needs client_id and roles beside it"
            raise ValueError(msg)
        if self.client_secret is not None and self.client_secret_file is not None:
            msg = "give client_secret or client_secret_file, not both"
            raise ValueError(msg)
        return self


class WebSettings(Group):
    """How `annotator web` is reached, and how long somebody stays logged in; docs/web.md."""

    host: str = Field(default="127.0.0.1", min_length=1, description="address it listens at; others need accounts")
    port: Annotated[int, Field(ge=0, le=65535)] = Field(default=8765, description="its port; 0 takes any that is free")
    public_url: str | None = Field(
        default=None,
        pattern=r"^https?://[^/?#@]+/?$",
        description="how browsers reach it, where that is through a proxy: https://faces.example.org",
    )

    @field_validator("public_url")
    @classmethod
    def _as_browsers_send_it(cls, url: str | None) -> str | None:
        """Bring it to the form of the header Origin: small letters, no port that goes without saying, no slash."""
        if url is None:
            return None
        parts = urlsplit(url)
        usual = {"http": 80, "https": 443}[parts.scheme]
        name = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
        return f"{parts.scheme}://{name}" + ("" if parts.port in (None, usual) else f":{parts.port}")

    proxies: Annotated[tuple[str, ...], NoDecode, BeforeValidator(listed)] = Field(
        default=("127.0.0.1", "::1"),
        description="addresses and networks of proxies, with commas: their X-Forwarded-For and -Proto are believed",
    )

    @field_validator("proxies")
    @classmethod
    def _are_networks(cls, proxies: tuple[str, ...]) -> tuple[str, ...]:
        for one in proxies:
            ip_network(one)  # its error says what is wrong; "*" would believe everybody
        return proxies

    uploads: Folder | None = Field(
        default=None, description="folder of what is uploaded; default: uploads in the data folder"
    )
    upload_bytes: Count = Field(default=200 * MIB, description="largest file that is uploaded")
    upload_files: Annotated[int, Field(ge=1, le=100)] = Field(default=20, description="most files of one upload")
    max_waiting: Count = Field(default=20, description="most media of one visitor that wait or are annotated")
    max_waiting_of_all: Count = Field(default=200, description="most media of all visitors that wait or are annotated")
    job_timeout_s: Seconds = Field(default=600.0, description="longest time for annotating one media of a visitor")
    show_timeout_s: Seconds = Field(
        default=60.0, description="longest time for fetching a media that is only to be shown, or cut faces out of"
    )
    allow_private_addresses: bool = Field(
        default=False,
        description="annotator web reads http(s) URLs of private addresses: whatever its visitors name, too",
    )
    session_hours: Annotated[float, Field(gt=0, le=720)] = Field(
        default=12.0, description="longest time logged in, whatever happens"
    )
    idle_minutes: Annotated[float, Field(ge=2)] = Field(
        default=120.0, description="time without a request after which somebody is logged out"
    )
    oidc: OidcSettings = OidcSettings()


class LogSettings(Group):
    """What the programs of the queue write to stderr."""

    format: Literal["text", "json"] = Field(default="text", description="lines for people, or JSON objects")
    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] | None = Field(
        default=None, description="least severe lines; default: what --loglevel says"
    )
