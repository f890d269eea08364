#!/bin/sh
# What can be shown on a machine with an NVIDIA GPU alone, in under five minutes: the tests that need one, five networks whose edge is
# a processor and whose server is the GPU (two processes), and a run whose report says what rounding changed.
#
#   PYTHON=.venv/bin/python benchmarks/on_a_gpu.sh [FOLDER FOR RESULTS]
set -e
cd "$(dirname "$0")/.."
python=${PYTHON:-python3} results=${1:-$(mktemp -d)}
mkdir -p "$results"
export PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}"
"$python" -m pytest -q -p no:cacheprovider tests/measurement/engines tests/measurement/test_on_engine.py
"$python" -m lmos bench gpu --also tf32,float16,float32+channels_last,float16+channels_last
cd "$results"
"$python" -m lmos profile torchvision:mobilenet_v2 --time --budget 5s --engine torch:cuda -o on-gpu.json > profile.txt
"$python" -m lmos plan on-gpu.json --server local --edge rpi4 --select cut:10 --bandwidth 100Mbps -o plan.json
"$python" -m lmos serve --listen 127.0.0.1:7070 --engine torch:cuda --precision float16+channels_last 2> server.log &
server=$!
trap 'kill $server' EXIT
"$python" -m lmos run plan.json --server 127.0.0.1:7070
