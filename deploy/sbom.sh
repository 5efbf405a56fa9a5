#!/usr/bin/env bash
# Prints what the binary is made of, as CycloneDX 1.6 JSON: every crate with its version, its checksum
# and its licence, from Cargo.lock and what Cargo knows. Asks nobody.
#
#   deploy/sbom.sh [TARGET]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
target=${1:-$(rustc -vV | sed -n 's/^host: //p')}

checksums=$(awk '
  /^name = /     { gsub(/"/, "", $3); name = $3 }
  /^version = /  { gsub(/"/, "", $3); version = $3 }
  /^checksum = / { gsub(/"/, "", $3); print name "@" version " " $3 }' Cargo.lock \
  | jq -Rn '[inputs | split(" ") | { key: .[0], value: .[1] }] | from_entries')

cargo metadata --format-version 1 --locked --offline --filter-platform "$target" \
  | jq -S --argjson checksums "$checksums" --arg target "$target" '
    def purl: "pkg:cargo/\(.name)@\(.version)";
    def component: {
      type: "library", "bom-ref": purl, name, version, purl: purl,
      licenses: (if .license then [{ expression: (.license | gsub(" */ *"; " OR ")) }] else [] end),
      hashes: ($checksums["\(.name)@\(.version)"] as $sum
        | if $sum then [{ alg: "SHA-256", content: $sum }] else [] end),
    };
    (.packages | map({ key: .id, value: . }) | from_entries) as $packages
    | (.resolve.nodes | map({ key: .id, value: . }) | from_entries) as $nodes
    # What only builds or tests it is not in it.
    | def needs: [.deps[] | select(any(.dep_kinds[]; .kind == null)) | .pkg];
    .resolve.root as $root
    | { seen: [$root], next: [$root] }
    | until(.next == [];
        ([.next[] as $id | $nodes[$id] | needs[]] | unique) as $found
        | .seen as $seen | ($found - $seen) as $new | { seen: ($seen + $new), next: $new })
    | .seen as $used
    | {
        bomFormat: "CycloneDX", specVersion: "1.6", version: 1,
        metadata: { component: ($packages[$root] | component + { type: "application" }),
          properties: [{ name: "cargo:target", value: $target }] },
        components: [$used[] | select(. != $root) | $packages[.] | component] | sort_by(.["bom-ref"]),
        dependencies: [$used[] as $id | $packages[$id] as $package
          | { ref: ($package | purl),
              dependsOn: ([$nodes[$id] | needs[] | $packages[.] | purl] | unique) }] | sort_by(.ref),
      }'
