"""The release's network in Keras: ResNet-50 as PyTorch has it, and the dense layer that gives embeddings.

The class head is no part of it: see ``naming.py``.
"""

from collections.abc import Callable
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

from annotator.errors import ModelError
from annotator.runtime.network import NetworkDefinition, Weights

if TYPE_CHECKING:
    import keras

FACE_SIDE_PX: Final = 224
EMBEDDING_SIZE: Final = 256
CHANNELS: Final = 2048
"""Of the last map."""

_TRUNK: Final = "trainer.networks.resnet"


def build_embedder() -> "keras.Model":
    """Return the embedder, its weights not set.

    Input f32 (N, 224, 224, 3), RGB in 0-255; the network itself divides by 255, and subtracts no mean. Output f32
    (N, 256), not normalised to unit length.
    """
    return build_embedder_for(FACE_SIDE_PX)


def build_embedder_for(side_px: int) -> "keras.Model":
    """Return the embedder for faces of another side; the weights fit any.

    The dense layer is written as a convolution over a map of one pixel, so that OpenVINO runs it with any batch.

    Args:
        side_px: height and width of a face, at least 32.

    """
    import keras  # noqa: PLC0415 - a process that only runs the network never imports Keras

    from trainer.networks.resnet import resnet50_features  # noqa: PLC0415 - as above

    layers = keras.layers
    faces = keras.Input((side_px, side_px, 3), name="faces")
    x = layers.GlobalAveragePooling2D(keepdims=True, name="pool")(resnet50_features(faces))
    x = layers.Conv2D(EMBEDDING_SIZE, 1, name="fc1")(x)
    return keras.Model(faces, layers.GlobalAveragePooling2D(name="embedding")(x), name="giphy_resnet50")


def embedder_definition(load_weights: Callable[[], Weights], weights_digest: str) -> NetworkDefinition:
    """Return the embedder with its weights, for an engine.

    Args:
        load_weights: reads them.
        weights_digest: sha256 of what they are read from.

    """
    spec = find_spec(_TRUNK)
    if spec is None or spec.origin is None:
        raise ModelError(f"the definition {_TRUNK} is not there: reinstall the trainer")
    # The trunk stands in a module of its own, so that its source must count, too.
    trunk = sha256(Path(spec.origin).read_bytes()).hexdigest()
    return NetworkDefinition(
        name="giphy-resnet50",
        build=f"{__name__}:{build_embedder.__name__}",
        load_weights=load_weights,
        weights_digest=f"{weights_digest} {trunk}",
        input_shape_hwc=(FACE_SIDE_PX, FACE_SIDE_PX, 3),
    )
