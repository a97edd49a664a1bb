"""Keep the folders of crops as a plan says: write what is missing or made another way, remove what is not wanted.

Only what was written by this module is ever removed: the file of findings knows each crop by its path, from before it
is written.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from annotator.appearing import remove_parts
from annotator.cli.output import progress
from annotator.recognition.crops import FaceCrop
from annotator.recognition.photographs import read_picture
from trainer.dataset.cutting import cut_face, encode_crop, recipe_of
from trainer.dataset.files import write_whole
from trainer.dataset.findings import Content, Findings
from trainer.dataset.listing import Sample
from trainer.workdir import Experiment

WRITERS: Final = 2
WRITTEN_TOGETHER: Final = 64
"""Crops between two entries in the file of findings: the most that a kill makes again."""


@dataclass(frozen=True, slots=True)
class CropFolders:
    """``train_dataset`` and ``val_dataset``.

    Attributes:
        experiment: the places.
        contents: what was found, by path of the photograph.
        findings: knows which crops there are, and how each was made.
        params: how faces are cut out.

    """

    experiment: Experiment
    contents: Mapping[str, Content]
    findings: Findings
    params: FaceCrop

    def update(self, samples: Sequence[Sample]) -> tuple[int, int]:
        """Make the folders hold these crops.

        Returns:
            How many were written, and how many removed.

        """
        wanted = {sample.crop: self._recipe(sample) for sample in samples}
        made = self.findings.crops()
        new = [one for one in samples if made.get(one.crop) != wanted[one.crop] or not self._is_there(one)]
        gone = [path for path in made if path not in wanted]
        self._clear_up(made)
        for path in gone:
            (self.experiment.folder / path).unlink(missing_ok=True)
        self.findings.forget_crops(gone)
        self.findings.announce_crops({sample.crop: "" for sample in new})
        with (
            progress("cutting out", total=len(new)) as advance,
            ThreadPoolExecutor(WRITERS, thread_name_prefix="cut") as pool,
        ):
            for start in range(0, len(new), WRITTEN_TOGETHER):
                part = new[start : start + WRITTEN_TOGETHER]
                for written in pool.map(self._cut, _by_photograph(part)):
                    for _ in range(written):
                        advance()
                self.findings.confirm_crops({sample.crop: wanted[sample.crop] for sample in part})
        return len(new), len(gone)

    def _clear_up(self, made: Mapping[str, str]) -> None:
        """Remove what a run that was killed has left half written, in the folders of crops that it never confirmed."""
        for folder in {(self.experiment.folder / path).parent for path, recipe in made.items() if not recipe}:
            remove_parts(folder)

    def _recipe(self, sample: Sample) -> str:
        content = self.contents[sample.photograph]
        return recipe_of(content.sha256, content.faces[sample.face], self.params)

    def _is_there(self, sample: Sample) -> bool:
        return (self.experiment.folder / sample.crop).is_file()

    def _cut(self, samples: Sequence[Sample]) -> int:
        """Cut the faces of one photograph out, and return how many."""
        photograph = samples[0].photograph
        picture = read_picture(self.experiment.raw_dataset / photograph)
        for sample in samples:
            crop = cut_face(picture, self.contents[photograph].faces[sample.face], self.params)
            write_whole(self.experiment.folder / sample.crop, encode_crop(crop))
        return len(samples)


def _by_photograph(samples: Sequence[Sample]) -> list[list[Sample]]:
    grouped: dict[str, list[Sample]] = {}
    for sample in samples:
        grouped.setdefault(sample.photograph, []).append(sample)
    return list(grouped.values())
