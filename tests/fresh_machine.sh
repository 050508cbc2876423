#!/usr/bin/env bash
# Tries the two commands of the README on a machine that has nothing: a minimal Debian 12 made by
# debootstrap in a temporary directory, with a clone of this checkout's HEAD and nothing else.
# Run by hand: it needs root, debootstrap, a network, about 5 GB under TMPDIR and half an hour.
#
# usage: tests/fresh_machine.sh [COMMAND [ARGUMENT...]]     default: scripts/demo.sh
#
# The command runs as root in the clone, in its own mount and process namespaces: whatever it leaves
# running dies with it. Name resolution, apt settings (proxies) and certificates are those of this
# machine, copied in for the run. DEBIAN_MIRROR names another mirror than deb.debian.org.
# Exit status: that of the command.
set -euo pipefail

if [[ ${1-} == -* ]]; then
  sed -n '2,11s/^# \{0,1\}//p' "$0" >&2
  exit 2
fi
if ((EUID != 0)) || ! command -v debootstrap >/dev/null; then
  echo "fresh_machine.sh: root and the package debootstrap are needed" >&2
  exit 1
fi
if (($# == 0)); then
  set -- scripts/demo.sh
fi

source_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
machine=$(mktemp -d "${TMPDIR:-/tmp}/autodist-fresh.XXXXXX")
trap 'rm -rf --one-file-system "$machine"' EXIT
chmod 755 "$machine"

mirror=${DEBIAN_MIRROR:-http://deb.debian.org/debian}
debootstrap --variant=minbase --include=ca-certificates bookworm "$machine" "$mirror" >&2
cp /etc/resolv.conf "$machine/etc/resolv.conf"
cp -r /etc/apt/apt.conf.d /etc/apt/auth.conf.d "$machine/etc/apt/"
if [[ -d /usr/local/share/ca-certificates ]]; then
  cp -r /usr/local/share/ca-certificates "$machine/usr/local/share/"
  # TMPDIR names a directory of this machine.
  env -u TMPDIR chroot "$machine" update-ca-certificates >/dev/null
fi
git clone --quiet "file://$source_dir" "$machine/root/autodist"

# The variables of this shell stay out, proxies excepted: a fresh machine has none of ours.
environment=(HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin TERM="${TERM:-dumb}" LANG=C.UTF-8)
for variable in http_proxy https_proxy no_proxy; do
  if [[ -n ${!variable-} ]]; then
    environment+=("$variable=${!variable}")
  fi
done
# shellcheck disable=SC2016  # expanded by the inner shells
env -i "${environment[@]}" unshare --mount --pid --fork --kill-child bash -euc '
  machine=$1
  shift
  mount -t proc proc "$machine/proc"
  mkdir -p "$machine/dev/shm"
  mount -t tmpfs -o mode=1777 tmpfs "$machine/dev/shm"
  exec chroot "$machine" bash -euc "cd /root/autodist && exec \"\$@\"" fresh "$@"
' fresh "$machine" "$@"
