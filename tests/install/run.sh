#!/usr/bin/env bash
# usage: run.sh BUILD_DIRECTORY CXX_COMPILER
# cmake --install into a temporary prefix, then configures, builds and runs tests/install/outside with
# nothing but that prefix: headers, libraries, CMake package and program must be complete.
set -euo pipefail
build=$1
compiler=$2
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cmake --install "$build" --prefix "$work/prefix" >/dev/null
cmake -S "$here/outside" -B "$work/build" -G Ninja -DCMAKE_CXX_COMPILER="$compiler" \
  -DCMAKE_BUILD_TYPE=Release -DCMAKE_PREFIX_PATH="$work/prefix" --log-level=WARNING
cmake --build "$work/build"

if grep -rIl --include='*.cmake' "$build" "$work/prefix"; then
  echo "the installed CMake package names the build directory" >&2
  exit 1
fi
"$work/build/outside" "$here/../golden/data/llama_plain"
"$work/prefix/bin/autodist" --version
# The installed program finds the installed model.
cd "$work"
rm -rf "$work/build"
./prefix/bin/autodist plan --json >plan.json
./prefix/bin/autodist generate --prompt "Once upon a time," --max-output-length 5 --no-cache
