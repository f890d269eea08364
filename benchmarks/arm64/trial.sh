#!/bin/sh
# An arm64 machine, emulated, beside this one: are fronts equal, and do an arm64 edge and this machine's server agree on all classes?
#
#   sudo benchmarks/arm64/trial.sh [FOLDER]       (default: build/arm64; about 1 GB, an hour or less)
#
# Needs root, debootstrap, qemu-aarch64-static (Debian: qemu-user-static) and binfmt_misc in the kernel, and .venv as `make setup`
# makes it. It says what is missing. Nothing is installed on this machine; the folder can be thrown away. With TORCH=VERSION, an
# edge with that release of torch runs too; which of torch's wheels for arm64 bring CUDA's libraries along differs from release to release.
set -eu

PROJECT=$(cd "$(dirname "$0")/../.." && pwd)
FOLDER=${1:-$PROJECT/build/arm64}
LMOS=$PROJECT/.venv/bin/lmos
PYTHON=$PROJECT/.venv/bin/python
ADDRESS=127.0.0.1:${PORT:-7171}
BINFMT=/proc/sys/fs/binfmt_misc
MAGIC='\x7f\x45\x4c\x46\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00'
MASK='\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff'

[ "$(id -u)" = 0 ] || { echo "arm64: needs root, to enter another machine's file system" >&2; exit 2; }
for tool in debootstrap qemu-aarch64-static dpkg chroot; do
    command -v $tool > /dev/null || { echo "arm64: $tool is missing (apt-get install debootstrap qemu-user-static)" >&2; exit 2; }
done
[ -x "$LMOS" ] || { echo "arm64: $LMOS is missing: make setup" >&2; exit 2; }

mkdir -p "$FOLDER/work" "$FOLDER/root"
cd "$FOLDER"
SERVER='' REGISTERED=''
clean_up() {
    [ -z "$SERVER" ] || kill "$SERVER" 2> /dev/null || true
    for place in proc work; do mountpoint -q "root/$place" && umount "root/$place"; done || true
    [ -z "$REGISTERED" ] || echo -1 > $BINFMT/lmos-aarch64
}
trap clean_up EXIT
trap 'exit 1' INT TERM

# Programs of arm64 run wherever they are started, until the trial is over.
[ -e $BINFMT/register ] || mount -t binfmt_misc binfmt_misc $BINFMT
if ! grep -qls qemu-aarch64 $BINFMT/*aarch64*; then
    echo ":lmos-aarch64:M::$MAGIC:$MASK:$(command -v qemu-aarch64-static):F" > $BINFMT/register
    REGISTERED=yes
fi

# Debian's packages are unpacked and not configured: a Python that starts is all that is needed.
if [ ! -x root/usr/bin/python3 ]; then
    debootstrap --foreign --arch=arm64 --variant=minbase --include=python3,ca-certificates bookworm packages > debootstrap.log
    for package in packages/var/cache/apt/archives/*.deb; do dpkg -x "$package" root; done
fi
# The processor of a Raspberry Pi 4. Without /sys: what stands there is this machine's, and onnxruntime would die of it.
arm() { into=$1; shift; chroot root /usr/bin/env HOME=/tmp "PYTHONPATH=/opt/$into" QEMU_CPU=cortex-a72 OMP_NUM_THREADS=1 /usr/bin/python3 "$@"; }
install() {  # into a folder, for arm64, by this machine's pip
    into=$1; shift
    "$PYTHON" -m pip install --quiet --disable-pip-version-check --upgrade --target "root/opt/$into" --python-version 3.11 \
        --implementation cp --only-binary=:all: --platform manylinux_2_28_aarch64 --platform manylinux_2_27_aarch64 \
        --platform manylinux_2_17_aarch64 --platform manylinux2014_aarch64 "$@"
    echo "arm64: $into takes $(du -sh "root/opt/$into" | cut -f1)"
}
rm -rf dist && "$PYTHON" -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist "$PROJECT" "$PROJECT/lmos_edge"
install lmos dist/lmos-*.whl
install lmos_edge dist/lmos_edge-*.whl
mkdir -p root/work root/proc root/tmp
mountpoint -q root/work || mount --bind work root/work
mountpoint -q root/proc || mount -t proc proc root/proc

echo "arm64: fronts"
for network in ${NETWORKS:-alexnet mobilenet_v2}; do
    "$LMOS" front "$network" --bandwidth 10Mbps --json > "work/$network.here.json"
    arm lmos -m lmos front "$network" --bandwidth 10Mbps --json > "work/$network.arm64.json"
done

echo "arm64: an edge without torch"
"$LMOS" plan squeezenet1_1 --bandwidth 40Mbps --select cut:21 -o work/plan.json > /dev/null
"$LMOS" export work/plan.json -o work/parts > /dev/null
rm -f serve.log
"$LMOS" serve --listen "$ADDRESS" 2> serve.log &
SERVER=$!
until grep -qs listening serve.log; do kill -0 $SERVER; sleep 1; done
"$LMOS" run work/plan.json --server "$ADDRESS" -o work/here.json > /dev/null
arm lmos_edge -m lmos_edge run /work/plan.json --head /work/parts/head.onnx --server "$ADDRESS" --threads 1 -o /work/arm64.json > /dev/null
cp "$PROJECT/benchmarks/arm64/crossing.py" work
PYTHONPATH=$PROJECT OMP_NUM_THREADS=1 "$PYTHON" work/crossing.py work work/here.npz
arm lmos_edge /work/crossing.py /work /work/arm64.npz
if [ -n "${TORCH:-}" ]; then
    echo "arm64: an edge with torch $TORCH"
    install torch "torch==$TORCH" torchvision safetensors psutil isal scipy pillow dist/lmos-*.whl
    arm torch -m lmos run /work/plan.json --server "$ADDRESS" --deadline 600s -o /work/torch.json > /dev/null
fi
"$PYTHON" "$PROJECT/benchmarks/arm64/compare.py" work
