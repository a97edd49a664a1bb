"""How the people of workdir/example_experiment are learnt. Copy it, and change what you like.

python experiments/example_experiment.py            the same as: trainer fit example_experiment

"""

from trainer.experiment import Augmentation, CentreLoss, Experiment, Network, Schedule, run_experiment_file

experiment = Experiment(
    # A head over frozen SFace embeddings. Or "resnet50", "resnet50-half" (112 pixels), "densenet121", "xception".
    network=Network("sface-head", embedding_size=256),
    # Or CrossEntropy(); or ArcFace(), which needs Network(…, head="cosine").
    loss=CentreLoss(weight=0.001, centres="trained"),
    # Of the training photographs only; copies are for frozen embeddings.
    augmentation=Augmentation(rate=0.3, copies=2),
    # Adam's learning rate is halved every four epochs: more than thirty of them change little.
    schedule=Schedule(epochs=30, batch=64, learning_rate=1e-3, halve_every_epochs=4),
)

if __name__ == "__main__":
    run_experiment_file(__file__)
