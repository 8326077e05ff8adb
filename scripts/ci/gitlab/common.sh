# shellcheck shell=bash
# Shared by the four scripts of GitLab Runner's custom executor; sourced. docs/ci/gitlab.md.
#
# The runner gives a job's variables as CUSTOM_ENV_NAME; the job's author chooses them. Settings of
# the administrator come from the runner's own environment or from the file below.

settings=${DOCKLESS_GITLAB_SETTINGS:-/etc/dockless/gitlab.conf}
# shellcheck source=/dev/null
[[ ! -r $settings ]] || source "$settings"

DOCKLESS=${DOCKLESS:-dockless}                                 # the program
DOCKLESS_DATA=${DOCKLESS_DATA:-/var/lib/dockless/gitlab}       # checkouts and caches
DOCKLESS_HELPER_IMAGE=${DOCKLESS_HELPER_IMAGE:-gitlab-runner-helper} # has git and gitlab-runner
DOCKLESS_DEFAULT_IMAGE=${DOCKLESS_DEFAULT_IMAGE:-}             # for jobs that name none
DOCKLESS_JOB_OPTIONS=${DOCKLESS_JOB_OPTIONS:---memory 4g --pids-limit 4096} # of job scripts
DOCKLESS_JOB_NETWORK=${DOCKLESS_JOB_NETWORK:-none}             # of job scripts: none or nat

# fail TEXT: trouble of the system, not of the job.
fail() {
    echo "dockless: $1" >&2
    exit "${SYSTEM_FAILURE_EXIT_CODE:-2}"
}

# Ids become names of directories.
project=${CUSTOM_ENV_CI_PROJECT_ID:-}
job=${CUSTOM_ENV_CI_JOB_ID:-}
[[ $project =~ ^[0-9]+$ && $job =~ ^[0-9]+$ ]] || fail "there is no project id or job id"
builds=$DOCKLESS_DATA/builds/$job
# The reader is whoever sources this file.
# shellcheck disable=SC2034
cache=$DOCKLESS_DATA/cache/$project
# shellcheck disable=SC2034
image=${CUSTOM_ENV_CI_JOB_IMAGE:-$DOCKLESS_DEFAULT_IMAGE}
