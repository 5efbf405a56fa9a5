#!/usr/bin/env bash
# Makes the secrets that the task definitions name, or brings them up to date.
#
#   deploy/create-aws-secrets.sh ENV [--prefix fusebox] [--dry-run]
#
#   PREFIX/ENV/database   DATABASE_URL, MIGRATE_DATABASE_URL
#   PREFIX/ENV/ai-keys    OPENAI_API_KEY, ANTHROPIC_API_KEY, GEMINI_API_KEY
#   PREFIX/ENV/app        FUSEBOX_ADMIN_TOKEN
#
# Values come from variables of these names. What is not set keeps the value that it has; at first
# DATABASE_URL is required, keys are "not-set" and the token is drawn. MIGRATE_DATABASE_URL is the same as
# DATABASE_URL, and follows it, until it is set to something else.
# No value is ever printed or stands in the arguments of a program. A second run changes nothing.
set -euo pipefail
# shellcheck source=deploy/aws.sh
source "$(dirname "${BASH_SOURCE[0]}")/aws.sh"

dry_run=''
read_words "" dry-run "$@"

readonly database=(DATABASE_URL MIGRATE_DATABASE_URL)
readonly ai_keys=(OPENAI_API_KEY ANTHROPIC_API_KEY GEMINI_API_KEY)
readonly app=(FUSEBOX_ADMIN_TOKEN)

for name in DATABASE_URL MIGRATE_DATABASE_URL; do
  value=${!name:-}
  case $value in
    '' | postgres://*@* | postgresql://*@*) ;;
    *) end "$INVALID" "$name is no Postgres URL: postgres://user:password@host:5432/database?sslmode=verify-full" ;;
  esac
done
check_account

# What a secret holds now as JSON, or `{}`.
held() {
  aws_or_end secretsmanager get-secret-value --secret-id "$1" --query SecretString --output text
}

# wanted HELD NAME…: what it is to hold, on standard output. Values go through the environment only.
wanted() {
  local held=$1
  shift
  drawn=$(head -c 24 /dev/urandom | base64 | tr -d '/+=\n') jq -Sc --args '
    . as $held
    | reduce $ARGS.positional[] as $name ({};
        .[$name] = (
          ($ENV[$name] // "" | select(. != ""))
          // (if $name == "MIGRATE_DATABASE_URL" and ($held[$name] | IN(null, "", $held.DATABASE_URL))
              then .DATABASE_URL else $held[$name] end)
          // (if $name == "FUSEBOX_ADMIN_TOKEN" then $ENV.drawn
              elif $name == "DATABASE_URL" then ""
              else "not-set" end)))
    | $held + .' "$@" <<<"$held"
}

# All is read and thought out before the first change.
declare -A arns now next
for secret in database ai-keys app; do
  id=$prefix/$environment/$secret
  arns[$secret]=$(secret_arn "$id")
  now[$secret]='{}'
  if [ -n "${arns[$secret]}" ]; then
    now[$secret]=$(held "$id")
    jq -e 'type == "object"' <<<"${now[$secret]}" >/dev/null 2>&1 \
      || end "$INVALID" "the secret $id holds no JSON object: it was made by something else; choose another --prefix"
  fi
done
next[database]=$(wanted "${now[database]}" "${database[@]}")
next[ai-keys]=$(wanted "${now[ai-keys]}" "${ai_keys[@]}")
next[app]=$(wanted "${now[app]}" "${app[@]}")
jq -e '.DATABASE_URL != ""' <<<"${next[database]}" >/dev/null || end "$INVALID" \
  "DATABASE_URL is not set and $prefix/$environment/database is not there yet: export DATABASE_URL"

for secret in database ai-keys app; do
  id=$prefix/$environment/$secret
  if [ -n "${arns[$secret]}" ] && [ "$(jq -Sc . <<<"${now[$secret]}")" = "${next[$secret]}" ]; then
    say "$id: as it was"
    continue
  fi
  action=$([ -n "${arns[$secret]}" ] && echo changed || echo made)
  if [ -n "$dry_run" ]; then
    say "$id: would be $action"
  elif [ "$action" = made ]; then
    printf %s "${next[$secret]}" | aws_or_end secretsmanager create-secret --name "$id" --description "Fusebox in $environment" \
      --tags "Key=fusebox:environment,Value=$environment" \
      --secret-string file:///dev/stdin --query ARN --output text >/dev/null
    say "$id: $action"
  else
    printf %s "${next[$secret]}" | aws_or_end secretsmanager put-secret-value --secret-id "$id" \
      --secret-string file:///dev/stdin --query ARN --output text >/dev/null
    say "$id: $action; tasks see it when they start anew"
  fi
done
