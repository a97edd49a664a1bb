"""Losses against small references in NumPy, gradients by numerical differences in float64."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.optional import import_optional
from trainer.experiment import ArcFace, CentreLoss, CrossEntropy, Loss, Network

tf = import_optional("tensorflow")

PEOPLE, SIZE, SCALE = 5, 4, 16.0
LABELS = np.array([0, 3, 3, 1, 0, 0])
F64 = NDArray[np.float64]

VALUE_TOLERANCE = 1e-5  # float32 against float64
GRADIENT_TOLERANCE = 2e-4


def _made(loss: Loss) -> Any:
    from trainer.fitting.losses import build_loss  # noqa: PLC0415 - imports Keras

    layer = build_loss(loss, Network(head="cosine", scale=SCALE), classes=PEOPLE, embedding_size=SIZE)
    layer.build(None)
    return layer


def _embedding() -> F64:
    return np.random.default_rng(0).normal(size=(len(LABELS), SIZE))


def _logits() -> F64:
    return np.random.default_rng(1).uniform(-0.99, 0.99, (len(LABELS), PEOPLE)) * SCALE


def _centres() -> F64:
    return np.random.default_rng(2).normal(size=(PEOPLE, SIZE))


def _entropy(logits: F64) -> float:
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_softmax = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return float(-log_softmax[np.arange(len(LABELS)), LABELS].mean())


def _trained_centre_loss(logits: F64, embedding: F64, centres: F64) -> float:
    total = 0.0
    for vector, label in zip(embedding, LABELS, strict=True):
        count = 1 + sum(label == LABELS)
        total += ((vector - centres[label]) ** 2).sum() / count
    return _entropy(logits) + 0.01 * total / 2


def _running_centre_loss(logits: F64, embedding: F64, centres: F64) -> float:
    squares = [((vector - centres[label]) ** 2).sum() for vector, label in zip(embedding, LABELS, strict=True)]
    return _entropy(logits) + 0.01 * float(np.mean(squares)) / 2


def _arcface_loss(logits: F64, embedding: F64, centres: F64) -> float:
    del embedding, centres
    turned = logits.copy()
    for row, label in enumerate(LABELS):
        cosine = logits[row, label] / SCALE
        angle = np.arccos(cosine)
        turned[row, label] = SCALE * (np.cos(angle + 0.5) if angle + 0.5 < np.pi else cosine - 0.5 * np.sin(0.5))
    return _entropy(turned)


def _plain_loss(logits: F64, embedding: F64, centres: F64) -> float:
    del embedding, centres
    return _entropy(logits)


Reference = Callable[[F64, F64, F64], float]

CASES: list[tuple[Loss, Reference]] = [
    (CrossEntropy(), _plain_loss),
    (CentreLoss(0.01, "trained"), _trained_centre_loss),
    (CentreLoss(0.01, "running"), _running_centre_loss),
    (ArcFace(0.5), _arcface_loss),
]


def _difference(function: Callable[[F64], float], at: F64) -> F64:
    """The gradient by central differences."""
    gradient = np.zeros_like(at)
    for index in np.ndindex(at.shape):
        step = np.zeros_like(at)
        step[index] = 1e-5
        gradient[index] = (function(at + step) - function(at - step)) / 2e-5
    return gradient


@pytest.mark.parametrize(("loss", "reference"), CASES, ids=["entropy", "trained", "running", "arcface"])
def test_value_and_gradients_equal_those_of_the_reference(loss: Loss, reference: Reference) -> None:
    layer = _made(loss)
    if hasattr(layer, "centres"):
        layer.centres.assign(_centres())
    logits, embedding = tf.constant(_logits(), tf.float32), tf.constant(_embedding(), tf.float32)

    with tf.GradientTape() as tape:
        tape.watch([logits, embedding])
        value = layer(LABELS, {"logits": logits, "embedding": embedding})
    to_logits, to_embedding = tape.gradient(value, [logits, embedding], unconnected_gradients="zero")

    given = (_logits(), _embedding(), _centres())
    assert abs(float(value) - reference(*given)) < VALUE_TOLERANCE * max(1.0, abs(reference(*given)))
    expected = _difference(lambda x: reference(x, given[1], given[2]), given[0])
    np.testing.assert_allclose(to_logits, expected, rtol=0, atol=GRADIENT_TOLERANCE)
    expected = _difference(lambda x: reference(given[0], x, given[2]), given[1])
    np.testing.assert_allclose(to_embedding, expected, rtol=0, atol=GRADIENT_TOLERANCE)


def test_trained_centres_get_the_movement_of_the_paper_as_their_gradient() -> None:
    layer = _made(CentreLoss(1.0, "trained"))
    layer.centres.assign(_centres())
    outputs = {"logits": tf.zeros((len(LABELS), PEOPLE)), "embedding": tf.constant(_embedding(), tf.float32)}

    with tf.GradientTape() as tape:
        value = layer(LABELS, outputs)
    (gradient,) = tape.gradient(value, [layer.centres.value])

    for label in range(PEOPLE):
        own = _embedding()[label == LABELS]
        movement = (_centres()[label] - own).sum(axis=0) / (1 + len(own))
        np.testing.assert_allclose(gradient[label], movement, rtol=0, atol=1e-5)


def test_running_centres_move_as_in_the_paper_and_get_no_gradient() -> None:
    layer = _made(CentreLoss(0.01, "running", rate=0.5))
    layer.centres.assign(_centres())

    layer.follow(LABELS, tf.constant(_embedding(), tf.float32))

    assert layer.trainable_variables == []
    for label in range(PEOPLE):
        own = _embedding()[label == LABELS]
        expected = _centres()[label] - 0.5 * (_centres()[label] - own).sum(axis=0) / (1 + len(own))
        np.testing.assert_allclose(layer.centres[label], expected, rtol=0, atol=1e-5)


def test_the_gradient_of_arcface_is_a_number_even_for_a_face_that_equals_its_direction() -> None:
    layer = _made(ArcFace())
    logits = tf.constant(np.eye(PEOPLE)[LABELS] * SCALE, tf.float32)

    with tf.GradientTape() as tape:
        tape.watch(logits)
        value = layer(LABELS, {"logits": logits, "embedding": tf.zeros((len(LABELS), SIZE))})

    assert np.isfinite(tape.gradient(value, logits).numpy()).all()
