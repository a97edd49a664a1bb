"""A fitted experiment of real people, small enough to fit in a second, and clips that show one of them."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from annotator.recognition.building import BuildParams
from annotator.recognition.crops import ALIGNED, FaceCrop
from annotator.recognition.embedding import FaceEmbedder
from annotator.runtime import Engine, create_engine
from tests.optional import import_optional
from trainer.dataset.cutting import crop_text
from trainer.experiment import ArcFace, Augmentation, CrossEntropy, Experiment, Network, Schedule
from trainer.fitting import device
from trainer.fitting.fit import FitOptions, fit
from trainer.fitting.places import MODEL_FOLDER
from trainer.workdir import Experiment as Places

PEOPLE = ("Jennifer_Aniston", "Jim_Carrey", "Jennifer_Lawrence", "Britney_Spears")
TRAIN, VAL, STRANGERS = 6, 2, 60

QUICK = BuildParams(face_sizes_px=(48, 112), variants=1)


@dataclass(frozen=True)
class Bench:
    """A workdir with crops and strangers, and what embeds them.

    Attributes:
        places: the experiment's folder.
        strangers: a folder of strangers.
        engine: runs networks on the CPU.
        fitted: what fits have left, by network and epochs.

    """

    places: Places
    strangers: Path
    engine: Engine
    fitted: dict[tuple[Network, int], Path] = field(default_factory=dict, compare=False)

    @property
    def cache_dir(self) -> Path:
        """The cache folder in which networks are converted once for all that run here."""
        return self.places.workdir.parent

    def fit(self, network: Network, *, epochs: int = 30) -> None:
        """Have a network fitted; the run that was there is forgotten.

        The same once more would be the same to the last bit, so what the first has left is put there again.
        """
        model, kept = self.places.folder / MODEL_FOLDER, self.fitted.get((network, epochs))
        if kept is not None:
            shutil.rmtree(model)
            shutil.copytree(kept, model)
            return
        experiment = Experiment(
            network=network,
            loss=ArcFace() if network.head == "cosine" else CrossEntropy(),
            augmentation=Augmentation(copies=0),
            schedule=Schedule(epochs=epochs, batch=8, learning_rate=1e-2),
        )
        fit(self.places, experiment, FitOptions(make_embedder=lambda: FaceEmbedder(self.engine), is_fresh=True))
        kept = self.places.workdir.parent / f"fitted-{len(self.fitted)}"
        self.fitted[network, epochs] = shutil.copytree(model, kept)

    def write_crop(self, crop: FaceCrop) -> None:
        """Say how the crops are cut, as ``trainer prepare`` does."""
        self.places.crop_file.write_text(crop_text(crop))


@pytest.fixture(scope="session")
def bench(
    shared_data: Path, tmp_path_factory: pytest.TempPathFactory, with_networks: Callable[[Path], Path]
) -> Iterator[Bench]:
    import_optional("tensorflow")
    home = tmp_path_factory.mktemp("export")
    places = Places("people", home / "workdir")
    for person in PEOPLE:
        pictures = sorted((shared_data / "people" / "gallery" / person).glob("*.jpg"))[: TRAIN + VAL]
        for place, picture in enumerate(pictures):
            folder = (places.train_dataset if place < TRAIN else places.val_dataset) / person
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(picture, folder / picture.name)
    places.labels_file.write_text(
        "Label,Index\nJim_Carrey,7\nJennifer_Aniston_[m.03knl],3\nJennifer_Lawrence,5\nBritney_Spears,9\n"
    )
    strangers = home / "strangers"
    strangers.mkdir()
    for picture in sorted((shared_data / "people" / "strangers").glob("*.jpg"))[:STRANGERS]:
        shutil.copyfile(picture, strangers / picture.name)
    engine = create_engine("cpu", threads=1, cache_dir=with_networks(home) / "networks")
    bench = Bench(places, strangers, engine)
    bench.write_crop(ALIGNED)
    with pytest.MonkeyPatch.context() as patch:
        # Another test of this process may have set them: they count for the last digits only.
        patch.setattr(device, "_set_threads", lambda *_: None)
        yield bench
