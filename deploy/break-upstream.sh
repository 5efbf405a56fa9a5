#!/usr/bin/env bash
# Breaks the ledger of deploy/compose.yaml, shows how long it takes until both sidecars refuse calls to
# it, mends it, and shows how long it takes until both let calls pass again.
#
#   deploy/break-upstream.sh
#
# Exit codes: 0 all was seen, 1 it was not, 2 the stack does not answer.
set -euo pipefail

ledger=${LEDGER_URL:-http://localhost:3003}
services=("${ORDERS_URL:-http://localhost:3001}" "${PAYMENTS_URL:-http://localhost:3002}")
sidecars=("${ORDERS_ADMIN_URL:-http://localhost:9901}" "${PAYMENTS_ADMIN_URL:-http://localhost:9902}")
token=${FUSEBOX_ADMIN_TOKEN:-a-token-for-the-example}
patience=${PATIENCE_SECONDS:-60}

ask() { curl --silent --show-error --max-time 5 "$@"; }

# The state of the ledger's circuit in a sidecar.
state() {
  ask --config - "$1/api/v1/circuit-breakers/ledger" <<<"header = \"authorization: Bearer $token\"" \
    | sed -n 's/.*"state": *"\([A-Z_]*\)".*/\1/p'
}

turn() { ask --fail --request POST "$ledger/knob?failing=$1"; }

now_ms() { date +%s%3N; }

# until_all STATE: calls both services until both sidecars are in this state, and tells how long it took.
until_all() {
  local began deadline left service sidecar at
  began=$(now_ms)
  deadline=$((began + patience * 1000))
  left=("${sidecars[@]}")
  while [ ${#left[@]} -gt 0 ]; do
    if [ "$(now_ms)" -gt "$deadline" ]; then
      printf 'after %s seconds not %s: %s\n' "$patience" "$1" "${left[*]}" >&2
      exit 1
    fi
    for service in "${services[@]}"; do ask --output /dev/null "$service/"; done
    local still=()
    for sidecar in "${left[@]}"; do
      at=$(state "$sidecar")
      if [ "$at" = "$1" ]; then
        printf '  %s: %s after %s ms\n' "$sidecar" "$1" "$(($(now_ms) - began))"
      else
        still+=("$sidecar")
      fi
    done
    left=(${still[@]+"${still[@]}"})
  done
}

turn 0 >/dev/null || { echo "nothing answers at $ledger: is the stack up?" >&2; exit 2; }
trap 'turn 0 >/dev/null || true' EXIT
echo "All is well:"
until_all CLOSED
turn 100
echo "Calls are refused:"
until_all OPEN
ask "${services[0]}/" && echo
turn 0
echo "Calls pass again:"
until_all CLOSED
