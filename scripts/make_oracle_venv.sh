#!/usr/bin/env bash
# Makes a throw-away Python environment with torch, transformers, tokenizers and safetensors in the
# exact versions of tools/oracle_requirements.txt. Only tools/*.py need it (goldens, the bundled
# model): building, testing and running autodist need no Python package.
#
# usage: scripts/make_oracle_venv.sh DIR
# Needs Python 3.11 or newer with venv, about 2.2 GB of downloads and 5 GB of disk. Running it again
# on the same DIR brings the packages back to the pinned versions.
set -euo pipefail

if [[ $# -ne 1 || $1 == -* ]]; then
  sed -n '2,8s/^# \{0,1\}//p' "$0" >&2
  exit 2
fi
directory=$1
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
  echo "make_oracle_venv.sh: Python 3.11 or newer is needed, found $(python3 --version)" >&2
  exit 1
}
python3 -m venv "$directory"
"$directory/bin/pip" install --quiet --no-deps --requirement "$root/tools/oracle_requirements.txt"
"$directory/bin/python" - <<'PYTHON'
import torch, tokenizers, transformers
print(f"torch {torch.__version__}, transformers {transformers.__version__}, "
      f"tokenizers {tokenizers.__version__}")
PYTHON
