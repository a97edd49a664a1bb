"""Takes steps on one device, and on two parts of the processor as on two GPUs, and prints both results."""

import json
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from trainer.experiment import CentreLoss, Experiment, Network, Schedule
from trainer.fitting.step import Learner

LABELS = np.array([0, 1, 2, 0, 1, 1, 2, 2], np.int32)
SAMPLES = np.random.default_rng(0).normal(size=(len(LABELS), 1, 1, 128)).astype(np.float32)
FACE = np.zeros((1, 112, 112, 3), np.float32)


def learnt(strategy: Any, loss: CentreLoss) -> tuple[list[float], Learner]:
    """Take three steps, and return what each told and who has learnt."""
    keras.utils.set_random_seed(0)
    experiment = Experiment(Network(embedding_size=8), loss, schedule=Schedule(batch=len(LABELS), learning_rate=0.01))
    learner = Learner(experiment, strategy, classes=3, has_xla=False)
    learner.prepare()
    batches = tf.data.Dataset.from_tensor_slices((SAMPLES, LABELS)).batch(len(LABELS), drop_remainder=True).repeat(3)
    told = [number for batch in learner.spread(batches) for number in learner.step(*batch).numpy().tolist()]
    return told, learner


def weights_of(learner: Learner) -> list[np.ndarray]:
    return [np.asarray(variable) for variable in learner.variables().values()]


def main() -> None:
    processor = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(processor, [tf.config.LogicalDeviceConfiguration()] * 2)
    two = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    for centres in ("trained", "running"):
        loss = CentreLoss(weight=0.1, centres=centres)  # type: ignore[arg-type] # both are known
        (told, one), (told_by_two, other) = learnt(tf.distribute.get_strategy(), loss), learnt(two, loss)
        pairs = zip(weights_of(one), weights_of(other), strict=True)
        apart = max(float(np.abs(a - b).max()) for a, b in pairs)
        result = {"replicas": two.num_replicas_in_sync, "told": told, "told_by_two": told_by_two, "apart": apart}
        print("RESULT", json.dumps(result))  # noqa: T201 - the test reads it
    # The frozen front is built last, when the steps are done, as for the file that a fit ends with.
    whole = other.built.whole
    told_of_whole: dict[str, object] = {name: list(output.shape) for name, output in whole(FACE).items()}
    front = whole.get_layer("sface").weights[0].value
    told_of_whole["copies"] = len(two.experimental_local_results(front))
    print("WHOLE", json.dumps(told_of_whole))  # noqa: T201 - as above


if __name__ == "__main__":
    main()
