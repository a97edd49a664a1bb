#!/usr/bin/env bash
# Make benchmarks/peers/.venv with what the project is measured beside: facenet-pytorch 2.6.0, mtcnn 1.0.0 on TensorFlow,
# SFace in ONNX Runtime and in OpenCV, a ResNet-50 in torch. With --if-outdated it does nothing where all is as listed.
# An environment of its own: facenet-pytorch asks for an older torch, NumPy and Pillow than the project has.
set -euo pipefail
cd "$(dirname "$0")"
wanted=$(cat setup.sh requirements.txt | sha256sum)
stamp=.venv/made-from
if [ "${1:-}" = --if-outdated ] && [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ]; then exit 0; fi
python3 -m venv .venv
.venv/bin/pip install --quiet --disable-pip-version-check -r requirements.txt
# Its declared dependencies cannot be met by this Python's wheels; it runs with newer ones all the same.
.venv/bin/pip install --quiet --disable-pip-version-check --no-deps facenet-pytorch==2.6.0
# facenet-pytorch uses two functions of torchvision; stubs/ has them in plain torch.
site_packages=$(.venv/bin/python -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])')
pwd | sed 's,$,/stubs,' > "$site_packages/peers_stubs.pth"
.venv/bin/python -c 'from facenet_pytorch import MTCNN; MTCNN()'
echo "$wanted" > "$stamp"
