#!/usr/bin/env bash
# Make benchmarks/peers/.venv with what the project is measured beside: facenet-pytorch 2.6.0, mtcnn 1.0.0 on TensorFlow,
# SFace in ONNX Runtime and in OpenCV, a ResNet-50 in torch. With --if-outdated it does nothing where all is as listed.
# An environment of its own: facenet-pytorch asks for an older torch, NumPy and Pillow than the project has.
# $PYTHON makes it, python3 where that is not set. All comes by the hashes of the .lock files; `make lock` makes them anew.
set -euo pipefail
cd "$(dirname "$0")"
python=${PYTHON:-python3}
wanted=$("$python" --version | cat - setup.sh ./*.lock | sha256sum)
stamp=.venv/made-from
if [ "${1:-}" = --if-outdated ] && [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ]; then exit 0; fi
"$python" -m venv --clear .venv
install=(.venv/bin/pip install --quiet --disable-pip-version-check --require-hashes)
"${install[@]}" -r peers.lock
# torch: the build for processors alone where pip knows of one, else that of the index, with libraries for GPUs.
"${install[@]}" --no-deps -r torch-cpu.lock 2>/dev/null || "${install[@]}" -r torch.lock
# Its declared dependencies cannot be met by this Python's wheels; it runs with newer ones all the same.
"${install[@]}" --no-deps -r facenet.lock
# facenet-pytorch uses two functions of torchvision; stubs/ has them in plain torch.
site_packages=$(.venv/bin/python -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])')
pwd | sed 's,$,/stubs,' > "$site_packages/peers_stubs.pth"
.venv/bin/python -c 'from facenet_pytorch import MTCNN; MTCNN()'
echo "$wanted" > "$stamp"
