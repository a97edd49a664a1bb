"""Put the stages together from the settings: the one place that knows both."""

import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from annotator.decoding import PipelineParams
from annotator.detection import DetectionParams, MtcnnDetector
from annotator.errors import ConfigError, DeadlineError, ModelError
from annotator.library import S3, Library, manifest_digest
from annotator.media import DecodeLimits, FetchLimits, MediaReader, S3Access, SampledFrames, Sampling, sample_frames
from annotator.media.child import check_decoder
from annotator.media.s3 import S3Store
from annotator.metering import StageMeter
from annotator.pipeline import Annotator, Watch
from annotator.recognition.bundle import ModelBundle, load_bundle
from annotator.recognition.decision import Identifier
from annotator.recognition.embedding import FaceEmbedder
from annotator.recognition.gallery import EnrolledPerson, Gallery
from annotator.runtime import Engine, create_engine
from annotator.settings import Settings
from annotator.store import Store
from annotator.store.models import find_model
from annotator.types import ClipReport, FrameBatch, Identity, MediaRef

TimeLimit = Callable[[str, int], float]
"""How long a media may take, in seconds, by its name and size in bytes."""

STARTER = "starter"
STARTER_FOLDER = Path(__file__).parent / "starter" / "bundle"
_DECODING = 8 / 9  # of the time of a media: a decoder that hangs is found before the media is late


@dataclass(frozen=True, slots=True)
class RegisteredModel:
    """The rows that an annotator's results belong to.

    Attributes:
        network_id: owns tracks and embeddings.
        labelling_id: owns labels.

    """

    network_id: int
    labelling_id: int


@dataclass(frozen=True, slots=True)
class SampledMedia:
    """The sampled frames of a media that is open, with the digest of its bytes."""

    content_sha256: str
    frames: SampledFrames
    until_s: float | None = None

    def __iter__(self) -> Iterator[FrameBatch]:
        """Decode; raises ``DeadlineError`` when it takes too long, the waiting for the networks included."""
        for batch in self.frames:
            if self.until_s is not None and time.monotonic() > self.until_s:
                raise DeadlineError("it was not done before its deadline; give workers more time, or more of them")
            yield batch

    @property
    def report(self) -> ClipReport:
        """What decoding has shown."""
        return self.frames.report


@dataclass(frozen=True, slots=True)
class MediaSource:
    """Fetches media and samples their frames. Used from several threads at once.

    Attributes:
        reader: fetches.
        sampling: which frames.
        limits: what decoding may cost.
        time_limit_s: how long a media may take in all, by its name and size in bytes; None for as long as it takes.

    """

    reader: MediaReader
    sampling: Sampling
    limits: DecodeLimits
    time_limit_s: TimeLimit | None = None

    @contextmanager
    def open(self, media: MediaRef) -> Iterator[SampledMedia]:
        """Fetch a media and start decoding it.

        Raises:
            InputError: it is not there, may not be read or is no media.
            TransientError: it cannot be fetched now.

        """
        began_s = time.monotonic()
        by_size = None if self.time_limit_s is None else partial(self.time_limit_s, media.media_id)
        with self.reader.open(media, time_limit_s=by_size) as local:
            limits, until_s = self.limits, None
            if self.time_limit_s is not None:
                limit_s = self.time_limit_s(media.media_id, local.size_bytes)
                limits, until_s = replace(limits, wall_s=min(limits.wall_s, _DECODING * limit_s)), began_s + limit_s
            with sample_frames(local, sampling=self.sampling, limits=limits) as frames:
                yield SampledMedia(local.sha256, frames, until_s)

    def spec(self) -> dict[str, object]:
        """Return what of decoding and sampling can change a result."""
        return {"sampling": self.sampling.spec()}


def build_engine(settings: Settings) -> Engine:
    """Make what runs the networks.

    Raises:
        ConfigError: the device asked for is not there.

    """
    return create_engine(settings.device, threads=settings.threads, cache_dir=settings.cache_dir / "networks")


def build_source(
    settings: Settings, *, sampling: Sampling | None = None, time_limit_s: TimeLimit | None = None
) -> MediaSource:
    """Make what fetches and samples media.

    Args:
        settings: what can be set.
        sampling: goes before that of the settings.
        time_limit_s: how long a media may take in all; see :class:`MediaSource`.

    """
    return MediaSource(
        reader=build_reader(settings),
        sampling=sampling or _sampling(settings),
        limits=_decode_limits(settings),
        time_limit_s=time_limit_s,
    )


def check_decoding(settings: Settings) -> None:
    """Start the decoder once: what cannot be run is told before media fail.

    Raises:
        ConfigError: it cannot be run.
        MachineLimitError: this machine lets nothing be started.

    """
    check_decoder(_decode_limits(settings))


def build_reader(settings: Settings) -> MediaReader:
    """Make what brings media to files, within the limits of the settings."""
    return MediaReader(fetch=_fetch_limits(settings), decode=_decode_limits(settings), s3=s3_access(settings))


def build_detector(settings: Settings, engine: Engine) -> MtcnnDetector:
    """Make what finds faces.

    Raises:
        ConfigError: a parameter is out of its range, or weights are not there.
        ModelError: the weights fail their check.

    """
    chosen = settings.detection
    params = DetectionParams(
        min_face_px=chosen.min_face_px,
        min_face_fraction=chosen.min_face_fraction,
        search_every=chosen.search_every,
    )
    return MtcnnDetector(engine, params=params, weights_dir=chosen.weights_dir)


def open_bundle(settings: Settings) -> ModelBundle:
    """Load the model bundle of the settings, without the people of the user's revocation list.

    A bundle in a bucket is brought into the cache first; files that are there with the right digest are kept.

    Raises:
        ConfigError: there is no such bundle.
        InputError: there is no such bundle in the bucket, or it may not be read.
        TransientError: the bucket does not answer.
        ModelError: it fails its checks.

    """
    revocations = settings.data_dir / "revoked.json"
    return load_bundle(bundle_folder(settings), revocations=revocations if revocations.exists() else None)


def bundle_folder(settings: Settings) -> Path:
    """Return the local folder of the model of the settings; raises as :func:`open_bundle`.

    A name with a version means what is installed under it, wherever that is kept; only the starter model needs not be.
    """
    library = open_library(settings)
    if settings.model.startswith(S3):
        return library.fetch(settings.model)
    folder = STARTER_FOLDER if settings.model == STARTER else Path(settings.model).expanduser()
    found = folder if folder.is_dir() else library.find(settings.model)
    if found is None and settings.model == load_bundle(STARTER_FOLDER).model:
        found = STARTER_FOLDER
    if found is None:
        raise ConfigError(
            f"There is no model {settings.model!r}: give «{STARTER}», the folder of a bundle, or a name that "
            "`annotator models list` shows."
        )
    return found


def open_library(settings: Settings) -> Library:
    """Return the library of installed models."""
    return Library(
        place=settings.models_uri or str(settings.data_dir / "models"),
        cache_dir=settings.cache_dir / "bundles",
        bucket_store=S3Store(s3_access(settings), _fetch_limits(settings)),
    )


def build_gallery(settings: Settings, *, store: Store | None = None) -> Gallery:
    """Put together whom faces are compared with: the bundle's people and those of the database.

    People who were taken down are left out.

    Raises:
        ConfigError: there is no such bundle, or two people would carry one name.
        ModelError: the bundle fails its checks, or another one is installed under its name and version.

    """
    bundle = open_bundle(settings)
    if store is None:
        return Gallery.from_bundle(bundle)
    _insist_on_installed(bundle, store)
    people = store.list_enrolled(bundle.embedder)
    taken_down = store.taken_down(bundle.identities)
    known = {identity.name for identity in bundle.identities} | {person.identity.name for person in people}
    renames, merges = _renames_and_merges(known, store.former_names())
    return Gallery.from_bundle(
        bundle,
        enrolled=[EnrolledPerson(person.identity, person.embeddings, bundle.embedder) for person in people],
        renames=renames,
        merges=merges,
        removed=taken_down,
    )


def build_identifier(settings: Settings, gallery: Gallery) -> Identifier:
    """Make what gives names, under the prior of the settings and as sure as they ask for.

    Raises:
        ConfigError: under this prior no name can be so sure.

    """
    wishes = gallery.bundle.calibration.with_wishes(prior=settings.prior, min_confidence=settings.min_precision)
    return Identifier(gallery, calibration=wishes)


def build_annotator(  # noqa: PLR0913 - all but the first by name
    settings: Settings,
    *,
    store: Store | None = None,
    engine: Engine | None = None,
    params: PipelineParams | None = None,
    time_limit_s: TimeLimit | None = None,
    meter: StageMeter | None = None,
    watch: Watch | None = None,
) -> Annotator:
    """Make a whole pipeline.

    Args:
        settings: what can be set.
        store: the database whose enrolled people and corrected names count; None leaves the bundle as it is.
        engine: what runs the networks, where one exists already.
        params: how much is in hand at once, and what is kept.
        time_limit_s: how long a media may take in all; see :class:`MediaSource`.
        meter: is told how busy the stages are.
        watch: is told every face.

    Raises:
        ConfigError: the settings cannot work.
        ModelError: a network or bundle fails its checks.

    """
    gallery = build_gallery(settings, store=store)
    engine = engine or build_engine(settings)
    params = params or PipelineParams()
    is_exact = settings.embedding.precision == "f32"
    embedder = FaceEmbedder(engine, precision="f32" if is_exact else "bf16", network=gallery.bundle.network)
    gallery.check_embedder(embedder.network_id)
    # Networks of bundles run in f32 always: for them the setting changes nothing.
    embedding = {"precision": "f32"} if is_exact and gallery.bundle.network is None else None
    return Annotator(
        source=build_source(settings, time_limit_s=time_limit_s),
        detector=build_detector(settings, engine),
        embedder=embedder,
        embedding=embedding,
        identifier=build_identifier(settings, gallery),
        params=_filled(params, engine),
        meter=meter,
        watch=watch,
    )


def register_model(store: Store, annotator: Annotator) -> RegisteredModel:
    """Find or make the rows of an annotator's network and labelling; the first labelling becomes the active one."""
    network_id = store.register_network(annotator.network_spec)
    labelling_id = store.register_labelling(
        network_id,
        model=annotator.model,
        digest=annotator.identifier.digest,
        photographs=annotator.identifier.photographs,
        calibration=annotator.identifier.calibration.to_json(),
    )
    return RegisteredModel(network_id, labelling_id)


def _filled(params: PipelineParams, engine: Engine) -> PipelineParams:
    """Have as much in hand as keeps an engine busy."""
    factor, most = engine.batches.in_hand_factor, engine.batches.max_detecting
    return replace(
        params,
        detecting=max(params.detecting, engine.lanes if most is None else min(engine.lanes, most)),
        max_inbox_bytes=factor * params.max_inbox_bytes,
        max_batch_bytes=factor * params.max_batch_bytes,
        embed_batch=factor * params.embed_batch,
    )


def _insist_on_installed(bundle: ModelBundle, store: Store) -> None:
    """Refuse a bundle that calls itself as an installed one does and is another: its labels would be told as that's."""
    with store.reading() as connection:
        installed = find_model(connection, bundle.name, bundle.version)
    if installed is not None and installed.digest != manifest_digest(bundle.manifest):
        raise ModelError(
            f"this {bundle.model} is not the one that is installed under this name ({installed.uri}): use that one, or"
            " give this one a higher version"
        )


def _renames_and_merges(
    known: Collection[str], former_names: Mapping[str, Identity]
) -> tuple[dict[str, str], dict[str, str]]:
    """Tell names that were corrected from people who were merged: among the known names of one person, one stays."""
    names_of: dict[str, list[str]] = {name: [name] for name in known}
    for former, identity in sorted(former_names.items()):
        if former in known:
            names_of.setdefault(identity.name, []).append(former)
    renames = {names[0]: name for name, names in names_of.items() if names[0] != name}
    merges = {merged: names[0] for names in names_of.values() for merged in names[1:]}
    return renames, merges


def _sampling(settings: Settings) -> Sampling:
    chosen = settings.sampling
    if chosen.all:
        return Sampling.all()
    if chosen.every_ms is not None:
        return Sampling.every(chosen.every_ms)
    return Sampling.even(chosen.frames)


def _decode_limits(settings: Settings) -> DecodeLimits:
    chosen = settings.decode
    return DecodeLimits(
        max_pixels=chosen.max_pixels,
        max_frames=chosen.max_frames,
        max_duration_ms=round(chosen.max_duration_s * 1000),
        wall_s=chosen.timeout_s,
        cpu_s=round(chosen.cpu_s),
        memory_bytes=chosen.memory_bytes,
    )


def _fetch_limits(settings: Settings) -> FetchLimits:
    chosen = settings.fetch
    return FetchLimits(
        max_bytes=chosen.max_bytes, timeout_s=chosen.timeout_s, allow_private=chosen.allow_private_addresses
    )


def s3_access(settings: Settings) -> S3Access:
    """Return how S3 is reached."""
    secret = settings.s3_secret_access_key
    return S3Access(
        endpoint_url=settings.s3_endpoint_url,
        region=settings.s3_region,
        access_key_id=settings.s3_access_key_id,
        secret_access_key=secret.get_secret_value() if secret else None,
    )
