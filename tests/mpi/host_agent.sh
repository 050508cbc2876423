#!/usr/bin/env bash
# What mpirun takes for ssh in two_hosts.sh: runs the command here, under the host name that it asked for.
# usage: host_agent.sh HOST COMMAND...
host=$1
shift
# shellcheck disable=SC2016  # for the inner shells
exec unshare --uts bash -c 'hostname "$0" && exec sh -c "$1"' "$host" "$*"
