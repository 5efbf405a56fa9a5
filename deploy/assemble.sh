#!/usr/bin/env bash
# Puts the image's file system together: the binary, the libraries that it is linked with, certificate
# authorities, the configurations, and nothing else. No shell, no package manager.
#
#   deploy/assemble.sh BINARY ROOT
#
# The Dockerfile runs it in its build stage; a test runs it without a container engine.
set -euo pipefail
binary=${1:?a binary} root=${2:?a directory}
repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
readonly uid=65532 authorities=/etc/ssl/certs/ca-certificates.crt

install -D -m 755 "$binary" "$root/usr/bin/fusebox"

# The loader comes in without an arrow, the kernel's own page without a path.
ldd "$binary" | awk '$2 == "=>" { print $3 } $1 ~ /^\// { print $1 }' | while read -r library; do
  install -D -m 755 "$library" "$root$library"
done

[ -s "$authorities" ] || { echo "${0##*/}: there is no $authorities: install ca-certificates" >&2; exit 1; }
install -D -m 644 "$authorities" "$root$authorities"
# Those of RDS, when the Dockerfile has fetched them; for sslrootcert.
if [ -s /tmp/rds.pem ]; then install -D -m 644 /tmp/rds.pem "$root/etc/ssl/rds/global-bundle.pem"; fi

install -D -m 644 -t "$root/etc/fusebox" "$repository"/config/*.yaml
printf 'fusebox:x:%s:%s::/var/lib/fusebox:/none\n' "$uid" "$uid" >"$root/etc/passwd"
printf 'fusebox:x:%s:\n' "$uid" >"$root/etc/group"
printf 'hosts: files dns\n' >"$root/etc/nsswitch.conf"

# A mounted volume takes over owner and mode of this directory.
install -d -m 700 "$root/var/lib/fusebox"
if [ "$(id -u)" = 0 ]; then chown "$uid:$uid" "$root/var/lib/fusebox"; fi

# Whatever was built when: the same sources make the same files.
find "$root" -exec touch --no-dereference --date="@${SOURCE_DATE_EPOCH:-0}" {} +
