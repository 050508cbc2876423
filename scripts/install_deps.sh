#!/usr/bin/env bash
# Installs the Debian 12 packages that building, testing and debugging autodist need: only those that
# are missing. With nothing missing it changes nothing and needs neither root nor a network.
#
# usage: scripts/install_deps.sh
# As root, or through sudo. Prints what it installs to stderr, nothing else. Any output of apt-get
# is shown when it fails.
set -euo pipefail

if (($# != 0)); then
  sed -n '2,7s/^# \{0,1\}//p' "$0" >&2
  exit 2
fi

packages=(
  g++ cmake ninja-build ccache                       # the build
  libdnnl-dev libhwy-dev                             # matrix products, SIMD
  nlohmann-json3-dev libcli11-dev libfmt-dev         # JSON, flags, text
  libxxhash-dev zlib1g-dev libonig-dev libutf8proc-dev
  libopenmpi-dev openmpi-bin                         # ranks on several hosts
  libgtest-dev libgmock-dev libyaml-cpp-dev python3-yaml  # the tests
  python3 shellcheck valgrind                        # checks of the tree, of its scripts, and of the instruction counts
  gdb                                                # scripts/debug
)

# dpkg-query fails when one of the names is unknown to it: that package is missing, not an error.
installed=$(dpkg-query -W -f '${Package} ${db:Status-Status}\n' "${packages[@]}" 2>/dev/null || true)
missing=()
for package in "${packages[@]}"; do
  grep -qx "$package installed" <<<"$installed" || missing+=("$package")
done
((${#missing[@]} == 0)) && exit 0

as_root=()
if ((EUID != 0)); then
  if ! command -v sudo >/dev/null; then
    echo "install_deps.sh: these packages are missing: ${missing[*]}; run it as root or install sudo" >&2
    exit 1
  fi
  as_root=(sudo)
fi

# `env` after sudo, because sudo drops the variables of its caller.
apt() {
  local log
  log=$(mktemp)
  if ! "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
      apt-get -qq -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=300 "$@" >"$log" 2>&1 </dev/null; then
    cat "$log" >&2
    rm -f "$log"
    echo "install_deps.sh: apt-get $1 failed" >&2
    return 1
  fi
  rm -f "$log"
}

echo "install_deps.sh: installing ${missing[*]}" >&2
apt update
apt install --yes --no-install-recommends "${missing[@]}"
