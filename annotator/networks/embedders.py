"""Networks beside SFace that turn faces into embeddings: what is fitted here, and run by both engines.

Each is a trunk, which makes a map of features of a face, and a bottleneck, whose output is the embedding. The trainer
puts its class head on the same layers, so that fitted weights fit by their names. No layer flattens: dense layers are
convolutions over a map of one pixel, so that OpenVINO runs the exported network with any batch (ADR 1).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

from annotator.errors import ModelError
from annotator.networks.resnet import resnet50_features
from annotator.networks.xception import xception_features
from annotator.runtime.network import NetworkDefinition, Weights

if TYPE_CHECKING:
    import keras

TrunkName = Literal["resnet50", "resnet50-half", "densenet121", "xception"]

MIN_SIDE_PX: Final[Mapping[TrunkName, int]] = {"resnet50": 32, "resnet50-half": 16, "densenet121": 32, "xception": 71}
"""Smallest faces of which something is left at the end of a trunk."""

MAX_SIDE_PX: Final = 320
"""Xception was designed for 299. A batch of larger faces would take gigabytes."""

MAX_EMBEDDING_SIZE: Final = 4096

SCALING: Final = "x / 255, inside the network"
"""What all trunks do with the colours of a face, RGB in 0-255, for whoever reads a manifest."""


@dataclass(frozen=True, slots=True)
class EmbedderSpec:
    """Which network, and how large.

    Attributes:
        name: of the trunk.
        side_px: side of the faces that it takes.
        embedding_size: numbers of an embedding.

    """

    name: TrunkName
    side_px: int
    embedding_size: int

    def __post_init__(self) -> None:
        """Check.

        Raises:
            ModelError: there is no such network.

        """
        if self.name not in get_args(TrunkName):
            known = ", ".join(get_args(TrunkName))
            raise ModelError(f"there is no network {str(self.name)[:40]!r} in this version: it knows {known}")
        for what, value, low, high in (
            ("side_px", self.side_px, MIN_SIDE_PX[self.name], MAX_SIDE_PX),
            ("embedding_size", self.embedding_size, 1, MAX_EMBEDDING_SIZE),
        ):
            if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
                raise ModelError(f"{what} of {self.name} must be a number from {low} to {high}, got {value!r:.20}")

    def definition(self, load_weights: Callable[[], Weights], *, weights_digest: str) -> NetworkDefinition:
        """Return the network with its weights, for an engine.

        Args:
            load_weights: reads them.
            weights_digest: sha256 of what they are read from.

        """
        return NetworkDefinition(
            name=self.name,
            build=f"{__name__}:{build_embedder.__name__}",
            load_weights=load_weights,
            weights_digest=weights_digest,
            input_shape_hwc=(self.side_px, self.side_px, 3),
            arguments=(self.name, self.side_px, self.embedding_size),
            parts=(resnet50_features.__module__, xception_features.__module__),
        )


def build_embedder(name: TrunkName, side_px: int, embedding_size: int) -> "keras.Model":
    """Return a network, its weights not set.

    Args:
        name: of the trunk.
        side_px: height and width of a face.
        embedding_size: numbers of an embedding.

    Returns:
        From faces, f32 (N, side, side, 3), RGB in 0-255, to embeddings, f32 (N, D), not of unit length.

    """
    import keras  # noqa: PLC0415 - a process that only runs the network never imports Keras

    faces = keras.Input((side_px, side_px, 3), name="faces")
    embedding = flat(bottleneck(trunk(faces, name), embedding_size), "embedding")
    return keras.Model(faces, embedding, name="embedder")


def trunk(faces: Any, name: TrunkName) -> Any:  # noqa: ANN401 - Keras's symbolic tensors have no type
    """Return the last map of features of a trunk, symbolic (N, H, W, C).

    Args:
        faces: symbolic f32 (N, side, side, 3), RGB in 0-255.
        name: of the trunk.

    """
    import keras  # noqa: PLC0415 - as above

    if name.startswith("resnet50"):
        return resnet50_features(faces, is_half=name.endswith("half"))
    if name == "xception":
        return xception_features(faces)
    scaled = keras.layers.Rescaling(1 / 255, name="rescale")(faces)
    return keras.applications.DenseNet121(include_top=False, weights=None, input_tensor=scaled).output


def bottleneck(features: Any, embedding_size: int | None) -> Any:  # noqa: ANN401 - as above
    """Return the mean of a map, through the bottleneck; symbolic f32 (N, 1, 1, D), float32 in every precision.

    Args:
        features: symbolic (N, H, W, C).
        embedding_size: D; None leaves the bottleneck out, and D is C.

    """
    import keras  # noqa: PLC0415 - as above

    x = keras.layers.GlobalAveragePooling2D(keepdims=True, name="pool", dtype="float32")(features)
    return x if embedding_size is None else keras.layers.Conv2D(embedding_size, 1, name="fc1", dtype="float32")(x)


def flat(x: Any, name: str) -> Any:  # noqa: ANN401 - as above
    """Return a map of one pixel, (N, 1, 1, D), as (N, D), without a layer that fixes the batch."""
    import keras  # noqa: PLC0415 - as above

    return keras.layers.GlobalAveragePooling2D(name=name, dtype="float32")(x)
