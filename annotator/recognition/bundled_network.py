"""A network that a model bundle carries: an embedding space of its own."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from annotator.errors import ConfigError, ModelError
from annotator.networks.embedder_file import read_embedder_file
from annotator.networks.embedders import SCALING, EmbedderSpec
from annotator.recognition.crops import FaceCrop
from annotator.runtime.network import NetworkDefinition

COLOUR_ORDER: Final = "RGB"
_ID_CHARS: Final = 16


@dataclass(frozen=True, slots=True)
class BundledNetwork:
    """A network, how faces are cut for it, and where its weights lie.

    Attributes:
        spec: which network.
        crop: how faces are cut; a crop of another side is brought to the network's.
        path: of its weights (``annotator.networks.embedder_file``).
        sha256: of that file.

    """

    spec: EmbedderSpec
    crop: FaceCrop
    path: Path
    sha256: str

    @property
    def network_id(self) -> str:
        """Names the embedding space, e.g. ``"resnet50-half-0a1b2c3d4e5f6789"``: another crop is another space."""
        told = json.dumps([self.to_json(), self.sha256], sort_keys=True)
        return f"{self.spec.name}-{hashlib.sha256(told.encode()).hexdigest()[:_ID_CHARS]}"

    def definition(self) -> NetworkDefinition:
        """Return the network for an engine; the weights are read and checked when it is converted or built."""
        load = partial(read_embedder_file, self.path, self.spec, sha256=self.sha256)
        return self.spec.definition(load, weights_digest=self.sha256)

    def to_json(self) -> dict[str, Any]:
        """Return it as the manifest has it."""
        return {
            "definition": self.spec.name,
            "side_px": self.spec.side_px,
            "embedding_size": self.spec.embedding_size,
            "crop": {"kind": self.crop.kind, "side_px": self.crop.side_px, "margin": self.crop.margin},
            "colour_order": COLOUR_ORDER,
            "scaling": SCALING,
        }

    @classmethod
    def from_json(cls, value: object, *, path: Path, sha256: str) -> "BundledNetwork":
        """Read it from a manifest.

        Args:
            value: as of :meth:`to_json`.
            path: of the weights.
            sha256: of the weights, as the manifest states it.

        Raises:
            ModelError: it says something that this version does not know.

        """
        crop = value.get("crop") if isinstance(value, Mapping) else None
        if not isinstance(value, Mapping) or not isinstance(crop, Mapping):
            raise ModelError("the manifest of the model bundle must describe its network and how faces are cut for it")
        try:
            network = cls(
                EmbedderSpec(*(value.get(name) for name in ("definition", "side_px", "embedding_size"))),  # type: ignore[arg-type] # it checks
                FaceCrop(*(crop.get(name) for name in ("kind", "side_px", "margin"))),  # type: ignore[arg-type] # as above
                path,
                sha256,
            )
        except (ConfigError, TypeError) as error:
            raise ModelError(f"the manifest of the model bundle describes no network: {error}") from error
        if network.to_json() != value:
            raise ModelError("the manifest of the model bundle wants its network run in a way that is not known here")
        return network
