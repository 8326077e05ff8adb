"""A login for the student, in a student container."""

import sys

from inginious_container_api import run_student as student


def ssh_student(
    setup_script=None,
    memory_limit=0,
    hard_time_limit=0,
    time_limit=0,
    container=None,
    run_as_root=False,
    teardown_script=None,
):
    """Lets the student log in by ssh to a container of its own, after SETUP_SCRIPT was run there; what
    the other arguments mean, and what is returned, is as for run_student.run_student(). Nobody came
    within two minutes: 253. The task's environment must allow ssh and network access."""
    return student.run_student(
        setup_script,
        container=container,
        time_limit=time_limit,
        hard_time_limit=hard_time_limit,
        memory_limit=memory_limit,
        stdin=sys.stdin.fileno(),
        stdout=sys.stdout.fileno(),
        stderr=sys.stderr.fileno(),
        signal_handler_callback=student._hack_signals,
        ssh=True,
        start_student_as_root=run_as_root,
        teardown_script=teardown_script,
    )
