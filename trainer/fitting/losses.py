"""What training makes small: cross-entropy, with centre loss in its two known forms, and ArcFace.

A loss is a Keras layer that takes labels and the network's outputs and returns one number. With several replicas (GPUs)
each returns its share, and the sum of the shares is the loss of the whole batch.

Sources: Wen, Zhang, Li, Qiao, «A Discriminative Feature Learning Approach for Deep Face Recognition», 2016 (centres);
Deng, Guo, Xue, Zafeiriou, «ArcFace: Additive Angular Margin Loss for Deep Face Recognition», 2019.
"""

import math
from collections.abc import Mapping
from typing import Any, Final

import keras
import tensorflow as tf

from trainer import experiment as described

_MAX_COSINE: Final = 1 - 1e-7
"""Beyond it the derivative of the sine is infinite."""


def build_loss(loss: described.Loss, network: described.Network, *, classes: int, embedding_size: int) -> Any:  # noqa: ANN401 - a Keras layer
    """Make the layer of a loss.

    Args:
        loss: which one.
        network: whose scale ArcFace needs.
        classes: how many people.
        embedding_size: numbers of an embedding.

    """
    if isinstance(loss, described.ArcFace):
        return ArcFaceLoss(margin_rad=loss.margin_rad, scale=network.scale)
    if isinstance(loss, described.CentreLoss):
        if loss.centres == "trained":
            return TrainedCentreLoss(classes, embedding_size, weight=loss.weight)
        return RunningCentreLoss(classes, embedding_size, weight=loss.weight, rate=loss.rate)
    return CrossEntropyLoss()


class CrossEntropyLoss(keras.layers.Layer):  # type: ignore[misc] # Keras has no types
    """The mean of ``-log softmax(logits)[label]``; the base of the others."""

    def __init__(self) -> None:
        """Compute in float32 in every precision."""
        super().__init__(dtype="float32")

    def call(self, labels: Any, outputs: Mapping[str, Any]) -> Any:  # noqa: ANN401 - tensors have no types
        """Return this replica's share of the loss, f32 ().

        Args:
            labels: i32 (N,).
            outputs: ``logits`` f32 (N, classes), ``embedding`` f32 (N, D).

        """
        return _entropy(labels, outputs["logits"])

    def follow(self, labels: Any, embedding: Any) -> None:  # noqa: ANN401 - as above
        """Learn from a batch what is not learnt by gradients: nothing here."""


class TrainedCentreLoss(CrossEntropyLoss):
    """Centres are parameters: ``weight / 2 * sum(|embedding - centre|^2 / (1 + people's count in the batch))``.

    The form of the GIPHY release; the gradient of the centres is the paper's movement.
    """

    def __init__(self, classes: int, embedding_size: int, *, weight: float) -> None:
        """Make the centres, f32 (classes, D), drawn from the standard normal distribution."""
        super().__init__()
        self.weight = weight
        self.centres = self.add_weight(
            shape=(classes, embedding_size), initializer=keras.initializers.RandomNormal(stddev=1.0), name="centres"
        )

    def call(self, labels: Any, outputs: Mapping[str, Any]) -> Any:  # noqa: ANN401 - tensors have no types
        """Return this replica's share of the loss; see the base."""
        chosen = tf.one_hot(labels, self.centres.shape[0])
        # A product instead of a look-up: its gradient is dense, and summed in a fixed order.
        distance = outputs["embedding"] - chosen @ tf.convert_to_tensor(self.centres)
        counts = tf.linalg.matvec(chosen, 1.0 + _over_replicas(tf.reduce_sum(chosen, axis=0)))
        centre_part = tf.reduce_sum(tf.reduce_sum(tf.square(distance), axis=1) / counts)
        return _entropy(labels, outputs["logits"]) + 0.5 * self.weight * centre_part


class RunningCentreLoss(CrossEntropyLoss):
    """Centres follow the embeddings: ``weight / 2 * mean(|embedding - centre|^2)``, and no gradient moves them.

    After a batch a centre moves by ``rate * sum(embedding - centre) / (1 + count)`` over the batch's embeddings of its
    person. The mean, not the sum of the paper's formula, is that of its authors' release.
    """

    def __init__(self, classes: int, embedding_size: int, *, weight: float, rate: float) -> None:
        """Make the centres, f32 (classes, D), all zero."""
        super().__init__()
        self.weight = weight
        self.rate = rate
        self.centres = self.add_weight(
            shape=(classes, embedding_size),
            initializer="zeros",
            trainable=False,
            aggregation="only_first_replica",
            name="centres",
        )

    def call(self, labels: Any, outputs: Mapping[str, Any]) -> Any:  # noqa: ANN401 - tensors have no types
        """Return this replica's share of the loss; see the base."""
        distance = outputs["embedding"] - tf.gather(tf.convert_to_tensor(self.centres), labels)
        centre_part = tf.reduce_sum(tf.square(distance)) / _batch_size(labels)
        return _entropy(labels, outputs["logits"]) + 0.5 * self.weight * centre_part

    def follow(self, labels: Any, embedding: Any) -> None:  # noqa: ANN401 - as above
        """Move the centres of the people of a batch."""
        centres = tf.convert_to_tensor(self.centres)
        chosen = tf.one_hot(labels, centres.shape[0])
        counts = _over_replicas(tf.reduce_sum(chosen, axis=0))
        sums = _over_replicas(tf.matmul(chosen, embedding, transpose_a=True))
        moves = (sums - counts[:, None] * centres) / (1.0 + counts[:, None])
        self.centres.assign(centres + self.rate * moves)


class ArcFaceLoss(CrossEntropyLoss):
    """Cross-entropy after an angle was added to the right person's: ``scale * cos(angle + margin)``.

    Where the sum would pass a half turn, ``cos(angle) - margin * sin(margin)`` stands instead, so that the logit keeps
    falling.
    """

    def __init__(self, *, margin_rad: float, scale: float) -> None:
        """Take the angle, and the scale of the cosine head."""
        super().__init__()
        self.margin_rad = margin_rad
        self.scale = scale

    def call(self, labels: Any, outputs: Mapping[str, Any]) -> Any:  # noqa: ANN401 - tensors have no types
        """Return this replica's share of the loss; see the base."""
        cosines = tf.clip_by_value(outputs["logits"] / self.scale, -_MAX_COSINE, _MAX_COSINE)
        sines = tf.sqrt(1.0 - tf.square(cosines))
        margin = self.margin_rad
        turned = cosines * math.cos(margin) - sines * math.sin(margin)
        turned = tf.where(cosines > -math.cos(margin), turned, cosines - margin * math.sin(margin))
        is_right = tf.one_hot(labels, outputs["logits"].shape[-1], on_value=True, off_value=False, dtype=tf.bool)
        return _entropy(labels, self.scale * tf.where(is_right, turned, cosines))


def _entropy(labels: Any, logits: Any) -> Any:  # noqa: ANN401 - tensors have no types
    # By a product with the chosen ones: TensorFlow's own sparse form has no deterministic gradient on every device.
    chosen = tf.one_hot(labels, logits.shape[-1])
    return -tf.reduce_sum(chosen * tf.nn.log_softmax(logits)) / _batch_size(labels)


def _batch_size(labels: Any) -> Any:  # noqa: ANN401 - as above
    """Return the size of the whole batch, over all replicas, f32 (); their parts are equally large."""
    return tf.cast(tf.shape(labels)[0] * tf.distribute.get_strategy().num_replicas_in_sync, tf.float32)


def _over_replicas(values: Any) -> Any:  # noqa: ANN401 - as above
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return values
    return context.all_reduce(tf.distribute.ReduceOp.SUM, values)
