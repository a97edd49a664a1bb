#!/usr/bin/env bash
# Make benchmarks/peers/.venv with facenet-pytorch 2.6.0, which the detector is compared with.
# An environment of its own: facenet-pytorch asks for an older torch, NumPy and Pillow than the project has.
set -euo pipefail
cd "$(dirname "$0")"
python3 -m venv .venv
.venv/bin/pip install --quiet --disable-pip-version-check -r requirements.txt
# Its declared dependencies cannot be met by this Python's wheels; it runs with newer ones all the same.
.venv/bin/pip install --quiet --disable-pip-version-check --no-deps facenet-pytorch==2.6.0
# facenet-pytorch uses two functions of torchvision; stubs/ has them in plain torch.
site_packages=$(.venv/bin/python -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])')
pwd | sed 's,$,/stubs,' > "$site_packages/peers_stubs.pth"
.venv/bin/python -c 'from facenet_pytorch import MTCNN; MTCNN()'
