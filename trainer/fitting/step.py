"""One step of training, and one look at what is not trained on; on one device or on several."""

from dataclasses import dataclass
from typing import Any, Final

import keras
import numpy as np
import tensorflow as tf

from annotator.types import F32
from trainer.experiment import Experiment
from trainer.fitting.input import Feed, Samples
from trainer.fitting.losses import build_loss
from trainer.networks.build import BuiltNetwork, build_network

TOP: Final = 5
"""The second of the two accuracies: the right person is among the first five."""


@dataclass(frozen=True, slots=True)
class Accuracy:
    """How well a network names photographs that it has not been trained on.

    Attributes:
        loss: mean of the experiment's loss over the batches, weighted by their size.
        top1: share of photographs whose person comes first.
        top5: share of photographs whose person is among the first five.

    """

    loss: float
    top1: float
    top5: float


class Learner:
    """Network, loss and optimiser, and the step that all three take."""

    def __init__(self, experiment: Experiment, strategy: Any, *, classes: int, has_xla: bool) -> None:  # noqa: ANN401 - TensorFlow has no types here
        """Build everything anew; the weights follow from Keras's seed.

        Args:
            experiment: what is built.
            strategy: under whose scope.
            classes: how many people.
            has_xla: compile the step; only where there is one replica.

        """
        self._strategy = strategy
        policy = "float32" if experiment.precision == "float32" else f"mixed_{experiment.precision}"
        before = keras.mixed_precision.dtype_policy()
        keras.mixed_precision.set_dtype_policy(policy)
        try:
            with strategy.scope():
                self._build(experiment, classes)
        finally:
            keras.mixed_precision.set_dtype_policy(before)
        is_alone = strategy.num_replicas_in_sync == 1
        # With several replicas layers and losses speak with each other, which a compiled part of a step cannot.
        is_compiled = has_xla and is_alone
        self._gradients = (
            tf.function(self._compute, jit_compile=True, autograph=False) if is_compiled else self._compute
        )
        self._train = tf.function(self._on_all_replicas, autograph=False)
        self._look = tf.function(self._evaluate_batch, autograph=False, reduce_retracing=True)

    def _build(self, experiment: Experiment, classes: int) -> None:
        self.built: BuiltNetwork = build_network(experiment.network, classes)
        embedding_size = self.built.learning.output["embedding"].shape[-1]
        self.loss = build_loss(experiment.loss, experiment.network, classes=classes, embedding_size=embedding_size)
        self.loss.build(None)
        optimizer = keras.optimizers.Adam(experiment.schedule.learning_rate)
        if experiment.precision == "float16":  # the smallest gradients would vanish
            optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
        self.optimizer = optimizer

    def prepare(self) -> None:
        """Make the optimiser's state; call it when it is settled which layers are frozen."""
        with self._strategy.scope():
            self.optimizer.build(self.trainable)

    def aim_head(self, samples: Samples) -> None:
        """Let the directions of a cosine head that stands on the samples themselves begin as each person's mean.

        Where the head is another kind, or a bottleneck lies between, nothing is changed.
        """
        head = self.built.learning.get_layer("fc2")
        size, classes = samples.shape[-1], self.built.learning.output["logits"].shape[-1]
        if not hasattr(head, "scale") or head.kernel.shape[2] != size or "fc1" in _layer_names(self.built.learning):
            return
        rows = np.stack([samples.read(index, None).reshape(size) for index in range(len(samples.labels))])
        sums = np.zeros((classes, size), np.float64)
        np.add.at(sums, samples.labels, rows)
        norms = np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-9)
        head.kernel.assign((sums / norms).T[None, None].astype(np.float32))

    @property
    def trainable(self) -> list[Any]:
        """Variables that gradients move."""
        return [*self.built.learning.trainable_variables, *self.loss.trainable_variables]

    def variables(self) -> dict[str, Any]:
        """Return everything that changes while learning, by a name that is the same in each run."""
        owners = {"network": self.built.learning, "loss": self.loss, "optimizer": self.optimizer}
        return {
            f"{name}/{index:04d}": variable
            for name, owner in owners.items()
            for index, variable in enumerate(owner.variables)
        }

    def set_rate(self, rate: float) -> None:
        """Set the learning rate."""
        inner = getattr(self.optimizer, "inner_optimizer", self.optimizer)
        inner.learning_rate = rate

    def spread(self, batches: Any) -> Any:  # noqa: ANN401 - TensorFlow has no types here
        """Return batches as the replicas take them."""
        return self._strategy.experimental_distribute_dataset(batches)

    def step(self, samples: Any, labels: Any) -> Any:  # noqa: ANN401 - as above
        """Learn from a batch.

        Returns:
            A tensor, f32 (2,): the loss, and how many persons came first; fetch it late.

        """
        return self._train(samples, labels)

    def evaluate(self, feed: Feed) -> Accuracy:
        """Look at all samples of a feed, unchanged."""
        totals = np.zeros(3)
        for samples, labels in feed.once():
            totals += self._look(samples, labels).numpy().astype(np.float64)
        loss, top1, top5 = (float(total) / max(len(feed.samples.labels), 1) for total in totals)
        return Accuracy(loss, top1, top5)

    def centres(self) -> F32:
        """Return one point of the embedding space for each person, f32 (classes, D).

        The loss's centres, or else the directions of the class head.
        """
        if hasattr(self.loss, "centres"):
            return np.asarray(self.loss.centres, np.float32)
        kernel = np.asarray(self.built.learning.get_layer("fc2").kernel)
        return np.ascontiguousarray(kernel[0, 0].T, np.float32)

    def _compute(self, samples: Any, labels: Any) -> tuple[Any, Any, Any, Any]:  # noqa: ANN401 - as above
        with tf.GradientTape() as tape:
            outputs = self.built.learning(samples, training=True)
            loss = self.loss(labels, outputs)
            scaled = self.optimizer.scale_loss(loss)
        gradients = tape.gradient(scaled, [variable.value for variable in self.trainable])
        return gradients, outputs["embedding"], loss, _hits(labels, outputs["logits"], 1)

    def _on_one_replica(self, samples: Any, labels: Any) -> Any:  # noqa: ANN401 - as above
        gradients, embedding, loss, hits = self._gradients(samples, labels)
        self.optimizer.apply(gradients, self.trainable)
        self.loss.follow(labels, embedding)
        return tf.stack([loss, hits])

    def _on_all_replicas(self, samples: Any, labels: Any) -> Any:  # noqa: ANN401 - as above
        results = self._strategy.run(self._on_one_replica, (samples, labels))
        return self._strategy.reduce(tf.distribute.ReduceOp.SUM, results, axis=None)

    def _evaluate_batch(self, samples: Any, labels: Any) -> Any:  # noqa: ANN401 - as above
        outputs = self.built.learning(samples, training=False)
        total = self.loss(labels, outputs) * tf.cast(tf.shape(labels)[0], tf.float32)
        return tf.stack([total, _hits(labels, outputs["logits"], 1), _hits(labels, outputs["logits"], TOP)])


def _layer_names(model: Any) -> set[str]:  # noqa: ANN401 - as above
    return {layer.name for layer in model.layers}


def _hits(labels: Any, logits: Any, top: int) -> Any:  # noqa: ANN401 - as above
    """Return how many right persons are among the first ``top``, f32 (); of equal logits all come first."""
    right = tf.gather(logits, labels, batch_dims=1)
    better = tf.reduce_sum(tf.cast(logits > right[:, None], tf.int32), axis=1)
    return tf.reduce_sum(tf.cast(better < top, tf.float32))
