# shellcheck shell=bash
# shellcheck disable=SC2154 # the script that reads this file has read its options
# The steps of deploy-to-aws.sh. Each leaves alone what is as it should be already.

readonly SUM=fusebox:sum NOTHING='{}'

short() { printf '%s' "${1##*/}"; }

# The stack has one load balancer with one group of targets, and one role for all tasks.
is_the_only_service() {
  local others other found
  others=$(services_of "$stack")
  for other in $others; do
    [ "$other" != "$service" ] || continue
    found=$(service_now "$stack" "$other")
    [ -z "$found" ] || end "$INVALID" \
      "$stack carries the service $other already, and only one: choose another --prefix for $service"
  done
}

# Makes the stack, or changes it when the template or a parameter that was given has changed.
stack_is_made() {
  local template=$here/cloudformation.yaml done=made sum now status
  sum=$(sha256sum <"$template" | cut -c1-32)
  now=$(stack_now "$stack")
  status=$(jq -r '.StackStatus // ""' <<<"${now:-$NOTHING}")
  case $status in
    # The second is left behind where it could not even be begun; `cloudformation deploy` begins again.
    '' | REVIEW_IN_PROGRESS) ;;
    ROLLBACK_COMPLETE | ROLLBACK_FAILED | DELETE_FAILED) end "$INVALID" \
      "the stack $stack could not be made or removed before ($status): deploy/teardown.sh $environment --prefix $prefix" ;;
    *_IN_PROGRESS) end "$INVALID" "the stack $stack is being changed ($status): wait and run this again" ;;
    *)
      done=changed
      if stack_has "$sum" <<<"$now"; then
        say "stack $stack: as it was"
        return
      fi ;;
  esac
  if [ -n "$dry_run" ]; then
    say "stack $stack: would be $done"
    return
  fi
  aws_or_end cloudformation deploy --stack-name "$stack" --template-file "$template" \
    --capabilities CAPABILITY_NAMED_IAM --no-fail-on-empty-changeset \
    --tags "$SUM=$sum" "fusebox:environment=$environment" \
    --parameter-overrides "${parameters[@]}" >/dev/null
  say "stack $stack: $done"
}

# Whether the stack on standard input is of the template with this sum, and has all of `parameters`.
stack_has() {
  jq -e --arg key "$SUM" --arg sum "$1" '
    any(.Tags[]?; .Key == $key and .Value == $sum)
      and $ARGS.positional - [.Parameters[]? | "\(.ParameterKey)=\(.ParameterValue)"] == []' \
    --args "${parameters[@]}" >/dev/null
}

# Fills in both task definitions. Sets `filled_service`, `filled_migrate` and their sums.
fill_definitions() {
  local outputs values
  outputs=$(stack_now "$stack" | jq -c '[.Outputs[]? | { key: .OutputKey, value: .OutputValue }] | from_entries')
  values=$(jq -nc --argjson outputs "${outputs:-$NOTHING}" \
    --arg prefix "$prefix" --arg environment "$environment" --arg service "$service" \
    --arg region "$region" --arg database_role "$database_role" --arg image "$image" --arg service_image "$service_image" \
    --arg database "${secrets[database]}" --arg ai "${secrets[ai-keys]}" --arg app "${secrets[app]}" '{
      PREFIX: $prefix, ENV: $environment, SERVICE: $service, REGION: $region,
      FUSEBOX_IMAGE: $image, SERVICE_IMAGE: $service_image,
      DATABASE_SECRET: $database, AI_KEYS_SECRET: $ai, APP_SECRET: $app,
      DATABASE_ROLE: $database_role,
      EXECUTION_ROLE: ($outputs.ExecutionRole // "(of the stack)"),
      TASK_ROLE: ($outputs.TaskRole // "(of the stack)"),
    }')
  outputs_of_stack=${outputs:-$NOTHING}
  [ -n "$dry_run" ] || jq -e 'has("ExecutionRole") and has("TargetGroup")' <<<"$outputs_of_stack" >/dev/null \
    || end "$FAILED" "the stack $stack does not say what it made: deploy/teardown.sh $environment, and again"
  filled_service=$(fill "$task_definition" "$values")
  filled_migrate=$(fill "$here/../ecs-task-definitions/fargate-migrate.json" "$values")
  service_sum=$(sum_of "$filled_service")
  migrate_sum=$(sum_of "$filled_migrate")
}

fill() {
  local filled
  filled=$(jq -Sc --argjson values "$2" --arg architecture "$architecture" '
    walk(if type == "string"
      then reduce ($values | to_entries[]) as $it (.; gsub("@\($it.key)@"; $it.value)) else . end)
    # The migration runs the same image as the service.
    | if $architecture == "" then . else .runtimePlatform.cpuArchitecture = $architecture end' "$1")
  [[ ! $filled =~ @[A-Z_]+@ ]] || end "$INVALID" "$1: nobody says what ${BASH_REMATCH[0]} stands for"
  printf '%s' "$filled"
}

sum_of() { printf '%s' "$1" | sha256sum | cut -c1-32; }

say_what_would_be_done() {
  local now sum
  say "migration: would be run"
  now=$(service_now "$stack" "$service" | jq -r '.taskDefinition // ""')
  if [ -z "$now" ]; then
    say "service $service: would be made with $desired_count tasks of:"
  else
    sum=$(registered_now "$now" | registered_sum)
    if [ "$sum" = "$service_sum" ]; then
      say "service $service: as it was, $(short "$now")"
      return
    fi
    say "service $service: would go from $(short "$now") to:"
  fi
  jq . <<<"$filled_service"
}

# registered_now DEFINITION: the revision, or a family's last one, with its tags; nothing when there is none.
registered_now() {
  aws_unless "Unable to describe task definition" ecs describe-task-definition \
    --task-definition "$1" --include TAGS --output json
}

# The sum that the task definition on standard input was registered with.
registered_sum() { jq -r --arg key "$SUM" '.tags[]? | select(.key == $key).value'; }

# register DEFINITION SUM: sets `registered` to the ARN of the new revision.
register() {
  local input
  input=$(jq -c --arg key "$SUM" --arg sum "$2" --arg environment "$environment" --arg stack "$stack" \
    '.tags = [{ key: $key, value: $sum }, { key: "fusebox:environment", value: $environment },
      { key: "fusebox:stack", value: $stack }]' <<<"$1")
  registered=$(aws_or_end ecs register-task-definition --cli-input-json "$input" \
    --query taskDefinition.taskDefinitionArn --output text)
  say "task definition: $(short "$registered")"
}

forget() {
  aws ecs deregister-task-definition --task-definition "$1" >/dev/null 2>&1 \
    || say "task definition $(short "$1") could not be deregistered; it is not in use" >&2
}

network() {
  local public=DISABLED
  [ -z "$public_ip" ] || public=ENABLED
  jq -nc --arg subnets "$subnets" --arg public "$public" \
    --arg group "$(jq -r '.TaskGroup // ""' <<<"$outputs_of_stack")" '{ awsvpcConfiguration: {
      subnets: ($subnets | split(",")), securityGroups: [$group], assignPublicIp: $public } }'
}

# Brings the tables up to date. Each run asks for it, for only the database knows what it lacks; where
# that is nothing, nothing is done.
migrate() {
  local last sum task status=0 ended
  last=$(registered_now "$(jq -r .family <<<"$filled_migrate")")
  sum=$(registered_sum <<<"$last")
  registered=$(jq -r .taskDefinition.taskDefinitionArn <<<"$last")
  [ "$sum" = "$migrate_sum" ] || register "$filled_migrate" "$migrate_sum"
  task=$(aws ecs run-task --cluster "$stack" --task-definition "$registered" --launch-type FARGATE \
    --network-configuration "$(network)" --started-by "deploy-to-aws" \
    --query 'tasks[0].taskArn' --output text 2>&1) || status=$?
  if [ "$status" != 0 ] || [ "$task" = None ]; then
    end "$NOT_MIGRATED" "the migration could not be started, and the service is as it was: ${task##*$'\n'}"
  fi
  ended=$(end_of_task "$task")
  if [ "$(jq -r '.containers[0].exitCode // "none"' <<<"$ended")" != 0 ]; then
    end "$NOT_MIGRATED" "the migration failed, and the service is as it was: $(jq -r \
      '"exit code \(.containers[0].exitCode // "none"), \(.stoppedReason // .containers[0].reason // "no reason given")"' \
      <<<"$ended"); see migrate/ in the log group /ecs/$prefix"
  fi
  say "migration: done"
}

# Waits for a task to stop and prints how it did. One question without an answer is no end.
end_of_task() {
  local deadline=$((SECONDS + timeout)) found
  while [ "$SECONDS" -lt "$deadline" ]; do
    found=$(aws_or_end ecs describe-tasks --cluster "$stack" --tasks "$1" \
      --query 'tasks[0]' --output json 2>/dev/null) || found=
    if [ "$(jq -r '.lastStatus // ""' <<<"$found")" = STOPPED ]; then
      printf '%s' "$found"
      return
    fi
    sleep "$poll"
  done
  aws ecs stop-task --cluster "$stack" --task "$1" --reason "not done in time" >/dev/null 2>&1 || true
  printf '{"stoppedReason":"it was not done in %s seconds"}' "$timeout"
}

make_service() {
  local input
  input=$(jq -nc --arg cluster "$stack" --arg name "$service" --arg definition "$1" \
    --argjson count "$desired_count" --argjson network "$(network)" \
    --arg environment "$environment" --arg group "$(jq -r '.TargetGroup // ""' <<<"$outputs_of_stack")" \
    --argjson filled "$filled_service" '{
      cluster: $cluster, serviceName: $name, taskDefinition: $definition, desiredCount: $count,
      launchType: $filled.requiresCompatibilities[0],
      networkConfiguration: $network, propagateTags: "SERVICE",
      deploymentConfiguration: { maximumPercent: 200, minimumHealthyPercent: 100,
        deploymentCircuitBreaker: { enable: true, rollback: true } },
      tags: [{ key: "fusebox:environment", value: $environment }],
    }
    + if any($filled.containerDefinitions[].portMappings[]?; .name == "ingress")
      then { healthCheckGracePeriodSeconds: 60,
             loadBalancers: [{ targetGroupArn: $group, containerName: "fusebox", containerPort: 8000 }] }
      else {} end')
  aws_or_end ecs create-service --cli-input-json "$input" >/dev/null
  say "service $service: made with $desired_count tasks"
}

change_service() {
  aws_or_end ecs update-service --cluster "$stack" --service "$service" --task-definition "$1" >/dev/null
  say "service $service: from $(short "$running") to $(short "$1")"
}

# Waits until the service runs this definition and no other, in full. Sets `trouble` when it does not.
# Only ECS may say so: a question without an answer is asked again, and when there never was one, all
# stays as it is.
wait_until_stable() {
  local deadline=$((SECONDS + timeout)) answer now='' verdict
  trouble="no task was healthy in $timeout seconds"
  while :; do
    verdict=moving
    if answer=$(service_now "$stack" "$service" 2>&1); then
      now=${answer:-$NOTHING}
      verdict=$(jq -r --arg definition "$1" '
        if .taskDefinition != $definition then "left"
        elif any(.deployments[]; .status == "PRIMARY" and .rolloutState == "FAILED") then "left"
        elif (.deployments | length) == 1 and .runningCount == .desiredCount and .pendingCount == 0
          and (.deployments[0].rolloutState // "COMPLETED") == "COMPLETED" then "stable"
        else "moving" end' <<<"$now")
    fi
    [ "$verdict" != stable ] || return 0
    if [ "$verdict" = left ] || [ "$SECONDS" -ge "$deadline" ]; then
      [ -n "$now" ] || end "$FAILED" "nobody says how $service does with $(short "$1"), which it keeps: ${answer#*: }"
      trouble=$(jq -r --arg trouble "$trouble" '.events[0].message // $trouble' <<<"$now")
      return 1
    fi
    sleep "$poll"
  done
}

# Back to what was before this run: the old definition, or no service.
roll_back() {
  local why=$trouble refused=$registered
  if [ -z "$before" ]; then
    aws_or_end ecs delete-service --cluster "$stack" --service "$service" --force >/dev/null
    forget "$refused"
    end "$UNHEALTHY" "$service did not become healthy and is removed again: $why"
  fi
  aws_or_end ecs update-service --cluster "$stack" --service "$service" --task-definition "$running" >/dev/null
  forget "$refused"
  if wait_until_stable "$running"; then
    end "$UNHEALTHY" "$service did not become healthy and is back at $(short "$running"): $why"
  fi
  end "$UNHEALTHY" "$service did not become healthy, nor does $(short "$running"), to which it went back: $why"
}
