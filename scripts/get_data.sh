#!/bin/sh
# Ensure that the folder $1 contains Fashion-MNIST. If no system package contains it and no mirror
# answers, install the package of Debian or Ubuntu, provided that apt exists and the user may use it.
set -eu
folder=$1
fetch() { PYTHONPATH=src "${PYTHON:-python3}" -m cnn_ablation.data.fashion_mnist "$folder"; }

if reason=$(fetch 2>&1); then exit 0; fi

as_root=
[ "$(id -u)" = 0 ] || as_root="sudo -n"
if command -v apt-get >/dev/null && $as_root true 2>/dev/null; then
    echo "No mirror of Fashion-MNIST answers; installing the package dataset-fashion-mnist." >&2
    # The update may fail for some sources and still list the package.
    $as_root apt-get update -qq >&2 || true
    $as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends dataset-fashion-mnist >&2 || true
    fetch
else
    echo "$reason" >&2
    exit 1
fi
