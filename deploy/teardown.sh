#!/usr/bin/env bash
# Removes what deploy-to-aws.sh has made: the service, its task definitions, and the stack with logs,
# load balancer, roles, dashboard and alarms. The database is left alone.
#
#   deploy/teardown.sh ENV [--prefix fusebox] [--secrets] [--yes] [--timeout 900] [--poll 5]
#
# --secrets removes the secrets too, for good. Without --yes it asks for the environment's name. A second
# run finds nothing to do. Exit codes as those of deploy-to-aws.sh.
set -euo pipefail
# shellcheck source=deploy/aws.sh
source "$(dirname "${BASH_SOURCE[0]}")/aws.sh"

secrets='' yes='' timeout=900 poll=5
read_words "timeout poll" "secrets yes" "$@"
check_number --timeout "$timeout" 10 7200
check_number --poll "$poll" 0 60
check_account

if [ -z "$yes" ]; then
  printf 'This removes all of %s in %s. Its name, to go on: ' "$stack" "$region" >&2
  read -r answer || answer=
  [ "$answer" = "$environment" ] || end "$USAGE" "not confirmed: nothing was removed"
fi

remove_services() {
  local services service found
  services=$(services_of "$stack")
  for service in $services; do
    found=$(service_now "$stack" "$service")
    [ -n "$found" ] || continue
    aws_or_end ecs delete-service --cluster "$stack" --service "$service" --force >/dev/null
    say "service $service: removed"
  done
  wait_for_tasks
}

# The stack's cluster and security groups cannot go while tasks are there, and one that is told to stop
# drains for a minute.
wait_for_tasks() {
  local deadline=$((SECONDS + timeout)) left
  while :; do
    left=$(tasks_left)
    [ "$left" != 0 ] || return 0
    [ "$SECONDS" -lt "$deadline" ] || end "$UNHEALTHY" "$left tasks of $stack do not stop: run this again later"
    sleep "$poll"
  done
}

# How many tasks have not stopped. ECS files them by what they are told to do, not by what they do, and
# describes a hundred at a time.
tasks_left() {
  local told tasks arns=() found left=0
  for told in RUNNING STOPPED; do
    tasks=$(aws_unless ClusterNotFoundException ecs list-tasks --cluster "$stack" --desired-status "$told" \
      --query 'taskArns[]' --output text)
    read -d '' -ra tasks <<<"$tasks" || true
    arns+=("${tasks[@]}")
  done
  while [ ${#arns[@]} -gt 0 ]; do
    found=$(aws_or_end ecs describe-tasks --cluster "$stack" --tasks "${arns[@]:0:100}" \
      --query "length(tasks[?lastStatus != 'STOPPED'])" --output text)
    left=$((left + found))
    arns=("${arns[@]:100}")
  done
  printf '%s' "$left"
}

# Names alone do not tell whose a definition is: another prefix may begin with this stack's name.
remove_definitions() {
  local families family arns arn owner
  families=$(aws_or_end ecs list-task-definition-families --family-prefix "$stack-" \
    --status ACTIVE --query 'families[]' --output text)
  for family in $families; do
    arns=$(aws_or_end ecs list-task-definitions --family-prefix "$family" --status ACTIVE \
      --query 'taskDefinitionArns[]' --output text)
    for arn in $arns; do
      owner=$(aws_or_end ecs describe-task-definition --task-definition "$arn" --include TAGS \
        --query "tags[?key == 'fusebox:stack'].value" --output text)
      [ "$owner" = "$stack" ] || continue
      aws_or_end ecs deregister-task-definition --task-definition "$arn" >/dev/null
      say "task definition ${arn##*/}: removed"
    done
  done
}

remove_stack() {
  local found
  found=$(stack_now "$stack")
  [ -n "$found" ] || return 0
  aws_or_end cloudformation delete-stack --stack-name "$stack"
  aws_or_end cloudformation wait stack-delete-complete --stack-name "$stack"
  say "stack $stack: removed"
}

remove_secrets() {
  local secret arn
  for secret in database ai-keys app; do
    arn=$(secret_arn "$prefix/$environment/$secret")
    [ -n "$arn" ] || continue
    aws_or_end secretsmanager delete-secret --secret-id "$arn" --force-delete-without-recovery >/dev/null
    say "secret $prefix/$environment/$secret: removed"
  done
}

remove_services
remove_definitions
remove_stack
[ -z "$secrets" ] || remove_secrets
say "nothing of $stack is left$([ -n "$secrets" ] || echo " but its secrets")"
