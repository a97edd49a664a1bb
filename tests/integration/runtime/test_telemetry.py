import os
import subprocess
import sys
from pathlib import Path


def test_running_networks_tells_nobody_and_leaves_nothing_in_the_home_folder(tmp_path: Path) -> None:
    code = (
        "import sys; from annotator.runtime.openvino_engine import OpenvinoEngine;"
        "print(bool(sys.modules.get('openvino_telemetry')))"
    )
    environment = {name: value for name, value in os.environ.items() if name != "CI"} | {"HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
    assert list(tmp_path.iterdir()) == []
