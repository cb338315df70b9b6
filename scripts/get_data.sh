#!/bin/sh
# Make sure that the folder $1 holds Fashion-MNIST. Where neither the system's packages nor a mirror
# has it, install Debian's or Ubuntu's package, if apt is there and the user may.
set -eu
folder=$1
fetch() { PYTHONPATH=src "${PYTHON:-python3}" -m cnn_ablation.data.fashion_mnist "$folder"; }

if reason=$(fetch 2>&1); then exit 0; fi

as_root=
[ "$(id -u)" = 0 ] || as_root="sudo -n"
if command -v apt-get >/dev/null && $as_root true 2>/dev/null; then
    echo "No mirror of Fashion-MNIST answers: installing the package dataset-fashion-mnist." >&2
    # A package list that cannot be renewed in full may still name the package.
    $as_root apt-get update -qq >&2 || true
    $as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends dataset-fashion-mnist >&2 || true
    fetch
else
    echo "$reason" >&2
    exit 1
fi
