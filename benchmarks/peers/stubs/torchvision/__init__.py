"""The two functions of torchvision that facenet-pytorch uses, in plain torch; not torchvision."""

from torchvision import ops, transforms

__all__ = ["ops", "transforms"]
