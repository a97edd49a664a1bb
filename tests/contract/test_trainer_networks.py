"""What every network of the trainer must do; small crops, so that it takes seconds."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from annotator.types import F32
from tests.optional import import_optional
from trainer.experiment import Network, NetworkName

keras = import_optional("keras")
tf = import_optional("tensorflow")

SIDES_PX: dict[NetworkName, int] = {
    "resnet50": 32,
    "resnet50-half": 16,
    "densenet121": 32,
    "xception": 71,  # the smallest that it takes
    "sface-head": 112,
}
CLASSES = 8
SAMPLES = 8
OVERFIT_STEPS = 20


@dataclass(frozen=True)
class _Subject:
    network: Network
    built: Any
    crops: F32
    labels: Any


@pytest.fixture(scope="class", params=list(SIDES_PX))
def subject(request: pytest.FixtureRequest) -> _Subject:
    from trainer.networks.build import build_network  # noqa: PLC0415 - imports Keras

    keras.utils.set_random_seed(3)
    name: NetworkName = request.param
    network = Network(
        name, embedding_size=32, side_px=SIDES_PX[name], head="cosine" if name == "sface-head" else "linear"
    )
    generator = np.random.default_rng(0)
    coarse = generator.uniform(0, 255, (SAMPLES, 4, 4, 3))  # colours in squares: what survives making small
    crops = np.stack([np.kron(one, np.ones((-(-network.input_side_px // 4),) * 2 + (1,))) for one in coarse])
    crops = crops[:, : network.input_side_px, : network.input_side_px].astype(np.float32)
    return _Subject(network, build_network(network, CLASSES), crops, np.arange(SAMPLES) % CLASSES)


def _inputs(subject: _Subject) -> Any:
    """What the learning part takes: crops, or the outputs of a frozen front."""
    if not subject.built.has_frozen_front:
        return subject.crops
    names = [layer.name for layer in subject.built.whole.layers]
    front = keras.Model(subject.built.whole.inputs[0], subject.built.whole.layers[names.index("unit_length")].output)
    return front(subject.crops)


def _learn(subject: _Subject, inputs: Any, optimizer: Any, steps: int) -> list[float]:
    """Take steps, not compiled: that takes longer than they do. End when all samples are known."""
    variables = subject.built.learning.trainable_variables
    losses = []
    for _ in range(steps):
        with tf.GradientTape() as tape:
            logits = subject.built.learning(inputs, training=True)["logits"]
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(subject.labels, logits))
        losses.append(float(loss))
        if losses[-1] < losses[0] / 2 and np.array_equal(logits.numpy().argmax(axis=1), subject.labels):
            break
        optimizer.apply(tape.gradient(loss, variables), variables)
    return losses


class TestNetwork:
    def test_outputs_have_the_shapes_that_were_asked_for_and_are_float32(self, subject: _Subject) -> None:
        outputs = subject.built.whole(subject.crops[:2])

        assert {name: output.shape for name, output in outputs.items()} == {
            "embedding": (2, 32),
            "logits": (2, CLASSES),
        }
        assert {output.dtype.name for output in outputs.values()} == {"float32"}

    def test_no_layer_fixes_the_batch(self, subject: _Subject) -> None:
        kinds = {type(layer).__name__ for layer in subject.built.whole._flatten_layers()}

        assert not kinds & {"Flatten", "Reshape", "Dense"}

    def test_an_equal_network_comes_from_its_configuration(self, subject: _Subject) -> None:
        again = keras.Model.from_config(subject.built.whole.get_config())

        assert again.get_config() == subject.built.whole.get_config()
        again.set_weights(subject.built.whole.get_weights())
        given, expected = (model(subject.crops[:2])["embedding"].numpy() for model in (again, subject.built.whole))
        np.testing.assert_allclose(given, expected, rtol=0, atol=1e-4 * np.abs(expected).max())

    def test_mixed_precision_is_kept_and_leaves_weights_and_outputs_in_float32(self, subject: _Subject) -> None:
        from trainer.networks.build import build_network  # noqa: PLC0415 - imports Keras

        before = keras.mixed_precision.dtype_policy()
        keras.mixed_precision.set_dtype_policy("mixed_bfloat16")
        try:
            built = build_network(subject.network, CLASSES)
        finally:
            keras.mixed_precision.set_dtype_policy(before)
        mixed = built.whole  # a frozen front comes only now, in the precision in which the rest was built

        normal = [layer for layer in mixed._flatten_layers() if isinstance(layer, keras.layers.BatchNormalization)]
        assert {layer.compute_dtype for layer in normal} == {"bfloat16"}
        assert {output.dtype for output in mixed.output.values()} == {"float32"}
        assert {weight.dtype for weight in mixed.trainable_weights} == {"float32"}

    def test_a_small_step_lowers_the_loss_of_its_batch(self, subject: _Subject) -> None:
        inputs = _inputs(subject)

        losses = _learn(subject, inputs, keras.optimizers.SGD(1e-5), 2)

        assert losses[1] < losses[0]

    def test_eight_samples_can_be_learnt_by_heart(self, subject: _Subject) -> None:
        inputs = _inputs(subject)

        rate = 3e-2 if subject.built.has_frozen_front else 1e-3

        losses = _learn(subject, inputs, keras.optimizers.Adam(rate), OVERFIT_STEPS)

        assert len(losses) < OVERFIT_STEPS  # it has ended before, since all were known
