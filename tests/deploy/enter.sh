#!/bin/sh
# Runs a program within a root of its own, as a container engine would: uid 65532 without rights, the
# tree read-only but for a volume, no network but loopback.
#
#   enter.sh ROOT VOLUME PROGRAM WORDS…
#   enter.sh                              whether it could: 0, or 69 and a line that says why not
set -eu

if ! said=$(unshare --user --map-root-user --net --mount --root=/ true 2>&1); then
  echo "no namespaces of one's own (user, net, mount) on this machine: $said" >&2
  exit 69
fi
[ $# -gt 0 ] || exit 0

root=$1 volume=$2
shift 2
# shellcheck disable=SC2016 # it is the inner shell's to expand
exec unshare --user --map-root-user --net --mount sh -euc '
  root=$1 volume=$2
  shift 2
  ip link set lo up 2>/dev/null || ifconfig lo up
  mount --bind "$root" "$root"
  mkdir -p "$root/proc"
  mount --rbind /proc "$root/proc"
  mount --bind "$volume" "$root/var/lib/fusebox"
  mount -o remount,bind,ro "$root"
  exec unshare --user --map-user=65532 --map-group=65532 --root="$root" --wd=/var/lib/fusebox "$@"
' sh "$root" "$volume" "$@"
