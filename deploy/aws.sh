# shellcheck shell=bash
# What the scripts beside this one share: how they end, what they check first, how they ask AWS.
#
# Exit codes: 0 done, 1 AWS failed on the way, 2 wrong usage, 3 something is missing or out of range,
# 4 no credentials or no such region, 5 the service did not become healthy and is back at what it was,
# 6 the migration failed and nothing else was changed.

# shellcheck disable=SC2034 # used by those that read this file
readonly FAILED=1 USAGE=2 INVALID=3 UNREACHABLE=4 UNHEALTHY=5 NOT_MIGRATED=6
export AWS_PAGER=""
# Else a step that ends within `$(…)` ends only that, and the script goes on with nothing.
shopt -s inherit_errexit

# end CODE SENTENCE: one line, and no more is done.
end() {
  printf '%s: %s\n' "${0##*/}" "$2" >&2
  exit "$1"
}

say() { printf '%s\n' "$*"; }

# The comment at the head of the script that runs is its help.
usage() {
  awk 'NR > 1 && !/^#/ { exit } NR > 1 { sub(/^# ?/, ""); print }' "$0"
}

# read_words VALUED FLAGS WORD…: what a script was told. An option `--some-name VALUE` of those named in
# VALUED sets `some_name`, one of FLAGS sets it to yes. All scripts take --prefix, and the word that is
# no option is the `environment`.
read_words() {
  local valued=" prefix $1 " flags=" $2 " name
  shift 2
  environment='' prefix=fusebox
  while [ $# -gt 0 ]; do
    name=${1#--}
    case $1 in
      -h | --help) usage; exit 0 ;;
      -*)
        if ! [[ $1 =~ ^--[a-z]+(-[a-z]+)*$ && $valued$flags == *" $name "* ]]; then
          end "$USAGE" "there is no option $1 (--help shows all)"
        elif [[ $flags == *" $name "* ]]; then
          printf -v "${name//-/_}" yes
        else
          [ $# -ge 2 ] || end "$USAGE" "$1 needs a value (--help shows all)"
          printf -v "${name//-/_}" %s "$2"
          shift
        fi ;;
      *) [ -z "$environment" ] || end "$USAGE" "one environment at a time, not '$1' too"; environment=$1 ;;
    esac
    shift
  done
  [ -n "$environment" ] || { usage >&2; exit "$USAGE"; }
  needs aws jq
  check_names "$environment" "$prefix"
}

# needs PROGRAM…: all of them are there.
needs() {
  local program
  for program in "$@"; do
    command -v "$program" >/dev/null || end "$INVALID" "$program is needed and not installed"
  done
}

# check_names ENV PREFIX: each of them, and the name that both make for the stack. Sets `stack`.
#
# No `-` in the environment's name, so that two environments never make one stack. The load balancer and
# its targets are called like the stack, and theirs are the narrowest rules.
check_names() {
  [[ $1 =~ ^[a-z][a-z0-9]{1,19}$ ]] || end "$USAGE" \
    "'$1' is no name of an environment: 2 to 20 of a-z and 0-9, a letter first (staging, production)"
  check_name "$2" prefix
  stack=$2-$1
  [ ${#stack} -le 32 ] || end "$USAGE" \
    "'$stack' has ${#stack} characters and a load balancer's name 32 at most: choose a shorter --prefix"
  [[ $stack != internal-* ]] || end "$USAGE" \
    "'$stack' begins with internal-, as no load balancer's name may: choose another --prefix"
}

# check_name NAME WHAT
check_name() {
  [[ $1 =~ ^[a-z][a-z0-9-]{1,19}$ ]] || end "$USAGE" \
    "'$1' is no $2: 2 to 20 of a-z, 0-9 and -, a letter first"
}

# check_number NAME VALUE LEAST MOST
check_number() {
  if ! [[ $2 =~ ^(0|[1-9][0-9]{0,5})$ ]] || (($2 < $3 || $2 > $4)); then
    end "$INVALID" "$1 is '$2': it must be $3 to $4"
  fi
}

# Who we are, and where. Sets `region`.
check_account() {
  local errors known explain
  region=${AWS_REGION:-${AWS_DEFAULT_REGION:-$(aws configure get region || true)}}
  [ -n "$region" ] || end "$UNREACHABLE" "no region: set AWS_REGION"
  [[ $region =~ ^[a-z]{2}(-[a-z]+)+-[0-9]{1,2}$ ]] || end "$UNREACHABLE" \
    "'$region' is no region: set AWS_REGION to one such as eu-central-1"
  export AWS_REGION=$region AWS_DEFAULT_REGION=$region
  errors=$(mktemp)
  if ! aws sts get-caller-identity --output text >/dev/null 2>"$errors"; then
    case $(<"$errors") in
      *"Unable to locate credentials"* | *"could not be found"* | *"NoCredentials"*)
        explain="no credentials: sign in (aws sso login), or set AWS_PROFILE or AWS_ACCESS_KEY_ID" ;;
      *"Could not connect"*) explain="AWS does not answer in $region: is AWS_REGION right?" ;;
      *) explain="AWS does not accept the credentials: $(last_line <"$errors")" ;;
    esac
    rm -f "$errors"
    end "$UNREACHABLE" "$explain"
  fi
  known=$(aws ec2 describe-regions --region-names "$region" --query 'Regions[0].RegionName' \
    --output text 2>"$errors") || known=
  rm -f "$errors"
  [ "$known" = "$region" ] || end "$UNREACHABLE" \
    "AWS has no region $region for this account: set AWS_REGION to one that is enabled"
}

last_line() { sed '/^[[:space:]]*$/d' | tail -n 1; }

# aws_or_end WORDS…: asks AWS; a failure ends the script with what AWS said, in one line.
aws_or_end() { aws_unless '' "$@"; }

# aws_unless FAULT WORDS…: the same, but nothing at all comes where AWS says that it is this.
aws_unless() {
  local fault=$1 errors said status=0
  shift
  errors=$(mktemp)
  aws "$@" 2>"$errors" || status=$?
  said=$(<"$errors")
  rm -f "$errors"
  if [ "$status" != 0 ] && { [ -z "$fault" ] || [[ $said != *"$fault"* ]]; }; then
    end "$FAILED" "aws $1 $2: $(last_line <<<"$said")"
  fi
}

# The ARN of a secret, or nothing.
secret_arn() {
  local found
  found=$(aws_unless ResourceNotFoundException secretsmanager describe-secret --secret-id "$1" --output json)
  [ -n "$found" ] || return 0
  [ "$(jq -r '.DeletedDate // ""' <<<"$found")" = "" ] || end "$INVALID" \
    "the secret $1 waits for its deletion: aws secretsmanager restore-secret --secret-id $1"
  jq -r .ARN <<<"$found"
}

# stack_now STACK: as CloudFormation describes it, or nothing when there is none.
stack_now() {
  aws_unless "$1 does not exist" cloudformation describe-stacks --stack-name "$1" \
    --query 'Stacks[0]' --output json
}

# service_now CLUSTER NAME: as ECS describes it, or nothing when there is none.
service_now() {
  aws_unless ClusterNotFoundException ecs describe-services --cluster "$1" --services "$2" --output json \
    | jq -c '.services[]? | select(.status == "ACTIVE")'
}

# services_of CLUSTER: the names of its services; of those that are gone, too, for a while.
services_of() {
  aws_unless ClusterNotFoundException ecs list-services --cluster "$1" --output json \
    | jq -r '.serviceArns[]? | sub(".*/"; "")'
}
