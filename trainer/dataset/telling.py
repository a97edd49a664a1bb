"""``trainer prepare``: say what has been done."""

from annotator.cli.output import print_json_line, remark
from trainer.dataset.preparing import Prepared, PrepareParams, prepare
from trainer.settings import Device
from trainer.workdir import Experiment


def run_prepare(experiment: Experiment, params: PrepareParams, *, device: Device, as_json: bool) -> None:
    """Prepare an experiment, and say on stdout what its data is now.

    Raises:
        ProblemsError: something is wrong with the data; nothing was done.
        ConfigError: the device is not there.
        BusyError: another process works on this experiment.
        LocalDiskError: the disk is full.

    """
    prepared = prepare(experiment, params, device=device)
    if as_json:
        print_json_line({"experiment": experiment.name, **prepared.facts()})
        return
    for line in _in_words(experiment, prepared):
        print(line)  # noqa: T201 - the result


def _in_words(experiment: Experiment, prepared: Prepared) -> list[str]:
    sides = {side: sum(sample.side == side for sample in prepared.plan.samples) for side in ("train", "val")}
    facts = prepared.facts()
    made = f"({prepared.written} written, {prepared.removed} removed)"
    lines = [
        f"{prepared.photographs} photographs of {facts['people']} people, {prepared.looked_at} of them new",
        f"{sides['train']} faces in {experiment.train_dataset}, {sides['val']} in {experiment.val_dataset} {made}",
    ]
    if prepared.plan.left_out:
        left_out = facts["left_out"]
        counted = ", ".join(f"{count} {why}" for why, count in left_out.items()) if isinstance(left_out, dict) else ""
        lines.append(f"{len(prepared.plan.left_out)} photographs left out: {counted} ({experiment.left_out_file})")
    if prepared.plan.split.moved:
        remark(
            f"{len(prepared.plan.split.moved)} photographs went from evaluation over to training, as a new photograph "
            "looks the same as one of each side"
        )
    return lines
