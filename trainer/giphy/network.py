"""The release's network: ResNet-50 as PyTorch has it, and the dense layer that gives embeddings.

The class head is no part of it: see ``naming.py``.
"""

from typing import Final

from annotator.networks.embedders import EmbedderSpec

FACE_SIDE_PX: Final = 224
EMBEDDING_SIZE: Final = 256
CHANNELS: Final = 2048
"""Of the last map."""

SPEC: Final = EmbedderSpec("resnet50", FACE_SIDE_PX, EMBEDDING_SIZE)
"""It divides by 255 itself, and subtracts no mean; embeddings are not of unit length."""
