#!/usr/bin/env bash
# Brings a service with its Fusebox to ECS: makes what it stands on (cloudformation.yaml), migrates the
# database as a task of its own, registers the task definition, updates the service and waits until it
# is stable. When it does not become healthy, the service goes back to what it was.
#
#   deploy/deploy-to-aws.sh ENV --image IMAGE --service-image IMAGE --vpc ID --subnets ID,ID [options]
#
#   --service NAME           the service's name (orders)
#   --prefix NAME            what everything is named after (fusebox)
#   --task-definition FILE   one of ecs-task-definitions (fargate-both.json)
#   --architecture A         x86_64, or arm64 for Graviton; the images must have it (as the file says)
#   --desired-count N        tasks of a new service, 1 to 1000 (2)
#   --retention-days N       how long logs are kept (30) *
#   --scheme S               of the load balancer: internal, or internet-facing (internal) *
#   --callers CIDR           who may call it (10.0.0.0/8) *
#   --certificate ARN        for HTTPS at the load balancer *
#   --alarm-topic ARN        who is told of alarms *
#   --database-role NAME     the role of DATABASE_URL, where that is not MIGRATE_DATABASE_URL's: the
#                            migration grants it what it needs
#   --database-user ARN      for IAM authentication to the database *
#   --public-ip              tasks get public addresses, where subnets have no NAT
#   --timeout SECONDS        how long the service may take to become healthy, 10 to 7200 (900)
#   --poll SECONDS           how often that is looked at (5)
#   --dry-run                say what would be done, and do nothing
#
# What bears a * stays as it is in the stack where it is left out; '' takes an ARN back. A prefix carries
# one service in an environment.
#
# Make the secrets first: deploy/create-aws-secrets.sh ENV. A second run with the same files and images
# changes nothing. Exit codes: 0 done, 1 AWS failed on the way, 2 wrong usage, 3 something is missing or
# out of range, 4 no credentials or no such region, 5 not healthy and back at what it was, 6 not migrated.
set -euo pipefail
here=$(dirname "${BASH_SOURCE[0]}")
# shellcheck source=deploy/aws.sh
source "$here/aws.sh"
# shellcheck source=deploy/rollout.sh
source "$here/rollout.sh"

service=orders image='' service_image='' vpc='' subnets=''
task_definition=$here/../ecs-task-definitions/fargate-both.json
desired_count=2 architecture='' database_role='' public_ip='' timeout=900 poll=5 dry_run=''
# The stack keeps what is not given of these, or the template has a value.
unset retention_days scheme callers certificate alarm_topic database_user
read_words "service image service-image vpc subnets task-definition architecture desired-count \
  retention-days scheme callers certificate alarm-topic database-role database-user timeout poll" \
  "dry-run public-ip" "$@"

# --- Before anything is changed ----------------------------------------------------------------

check_name "$service" "name of a service"
for option in image service_image vpc subnets; do
  [ -n "${!option}" ] || end "$USAGE" "--${option//_/-} is missing (--help shows all)"
done
[[ $subnets =~ ^subnet-[0-9a-f]+(,subnet-[0-9a-f]+)+$ ]] || end "$INVALID" \
  "--subnets is '$subnets': two or more, such as subnet-0a1b,subnet-2c3d, in different zones"
check_number --desired-count "$desired_count" 1 1000
check_number --timeout "$timeout" 10 7200
check_number --poll "$poll" 0 60
[[ " 1 3 5 7 14 30 60 90 120 150 180 365 400 545 731 1096 1827 3653 " == *" ${retention_days-30} "* ]] \
  || end "$INVALID" "--retention-days is '$retention_days': CloudWatch knows 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827 and 3653"
case ${scheme-internal} in
  internal | internet-facing) ;;
  *) end "$INVALID" "--scheme is '$scheme': it is internal or internet-facing" ;;
esac
case $architecture in
  '') architecture=$(jq -r '.runtimePlatform.cpuArchitecture // ""' "$task_definition" 2>/dev/null || true) ;;
  x86_64 | arm64) architecture=${architecture^^} ;;
  *) end "$INVALID" "--architecture is '$architecture': it is x86_64 or arm64" ;;
esac
jq -e .containerDefinitions "$task_definition" >/dev/null 2>&1 \
  || end "$INVALID" "$task_definition is no task definition in JSON"
check_account

declare -A secrets
for secret in database ai-keys app; do
  secrets[$secret]=$(secret_arn "$prefix/$environment/$secret")
  [ -n "${secrets[$secret]}" ] || end "$INVALID" \
    "the secret $prefix/$environment/$secret is missing: deploy/create-aws-secrets.sh $environment --prefix $prefix"
done
IFS=, read -ra each_subnet <<<"$subnets"
found_vpc=$(aws ec2 describe-subnets --subnet-ids "${each_subnet[@]}" \
  --query 'Subnets[].VpcId' --output text 2>&1) || end "$INVALID" "--subnets: ${found_vpc##*: }"
for found in $found_vpc; do
  [ "$found" = "$vpc" ] || end "$INVALID" "--subnets are in $found, not in --vpc $vpc"
done
is_the_only_service

# --- What it stands on -------------------------------------------------------------------------

has_container() { jq -r "if any(.containerDefinitions[]; $1) then \"yes\" else \"no\" end" "$task_definition"; }

parameters=(
  "Prefix=$prefix" "Environment=$environment" "Vpc=$vpc" "LoadBalancerSubnets=$subnets"
  "Tracing=$(has_container '.name == "collector"')"
  "LogRouter=$(has_container .firelensConfiguration)"
)
for known in LogRetentionDays=retention_days Scheme=scheme CallersCidr=callers \
  CertificateArn=certificate AlarmTopicArn=alarm_topic DatabaseUserArn=database_user; do
  option=${known#*=}
  [ -z "${!option+given}" ] || parameters+=("${known%=*}=${!option}")
done
stack_is_made
fill_definitions

if [ -n "$dry_run" ]; then
  say_what_would_be_done
  exit 0
fi

# --- The service -------------------------------------------------------------------------------

before=$(service_now "$stack" "$service")
running=$(jq -r '.taskDefinition // ""' <<<"$before")
running_sum=
[ -z "$running" ] || running_sum=$(registered_now "$running" | registered_sum)
migrate
if [ "$running_sum" = "$service_sum" ]; then
  wait_until_stable "$running" || end "$UNHEALTHY" \
    "$service runs $(short "$running") as before, which is not healthy: $trouble"
  say "service $service: as it was, $(short "$running")"
  exit 0
fi
register "$filled_service" "$service_sum"
if [ -n "$before" ]; then
  change_service "$registered"
else
  make_service "$registered"
fi
if wait_until_stable "$registered"; then
  say "service $service: stable on $(short "$registered")"
  exit 0
fi
roll_back
