import subprocess
import sys

CODE = """
import sys
from pathlib import Path
from annotator.errors import ConfigError
from trainer.evaluation.opening import open_fitted
from trainer.workdir import Experiment

sys.modules["tensorflow"] = None
try:
    open_fitted(Experiment("it", Path("nowhere")), "prototypes", device="cpu")
except ConfigError as error:
    print(error)
"""


def test_where_tensorflow_is_not_installed_a_fitted_network_says_how_to_get_it() -> None:
    told = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=False)
    assert told.stdout == "fitting needs TensorFlow: pip install 'celebrity-annotator[train]'\n", told.stderr
