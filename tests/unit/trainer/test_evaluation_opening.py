import subprocess
import sys
from pathlib import Path

CODE = """
import sys
from pathlib import Path
from annotator.errors import ConfigError
from trainer.evaluation.opening import open_fitted
from trainer.workdir import Experiment

sys.modules["tensorflow"] = None
experiment = Experiment("it", Path(sys.argv[1]))
try:
    open_fitted(experiment, "prototypes", device="cpu")
except ConfigError as error:
    print(error)
(experiment.folder / "model").mkdir(parents=True)
(experiment.folder / "model" / "network.json").write_text('{"network": {}, "people": ["Ada", "Grace"]}')
try:
    open_fitted(experiment, "prototypes", device="cpu")
except ConfigError as error:
    print(error)
"""


def test_a_network_that_is_not_there_is_told_first_and_then_that_tensorflow_is_not_installed(tmp_path: Path) -> None:
    told = subprocess.run([sys.executable, "-c", CODE, str(tmp_path)], capture_output=True, text=True, check=False)
    assert told.stdout.splitlines() == [
        f"there is no fitted network in {tmp_path / 'it' / 'model'}: run `trainer fit` first",
        "fitting needs TensorFlow: pip install 'celebrity-annotator[train]'",
    ], told.stderr
