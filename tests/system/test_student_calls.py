"""Graders that wait for their student before they listen to the agent, as INGInious' run_student in
Python does: whatever becomes of the student, they are not left waiting.

The grader here is runtime_payload (tests/runtime/payload.c): it waits for its student in accept(),
and what the agent tells it before it has talked to one is lost."""

import os
import signal
import time

from harness import case, host, images
from harness.tasks import frame, result

PAYLOAD = os.path.join(case.BUILD_DIR, "tests/runtime/runtime_payload")

# The student does whatever the task says. The image `none` has no such program.
INTERN = b"#!/bin/sh\nexec sh /task/student/does\n"


def make_store(directory):
    with open(PAYLOAD, "rb") as file:
        payload = file.read()
    files = images.busybox_files() | {"bin/payload": payload}
    with_intern = files | {"bin/_run_student_intern": INTERN}
    for name, content in {"lab": with_intern, "none": files}.items():
        layout = images.Layout(f"{directory}/{name}")
        layout.add(name, [images.layer(content)], images.environment_labels(name))
        done = case.run("image", "load", "--store", directory + "/store", f"oci:{directory}/{name}:{name}")
        assert done.returncode == 0, done.stderr
    return directory + "/store"


def request(socket_id="s", **fields):
    message = {
        "type": "run_student",
        "environment": None,
        "time_limit": 0,
        "hard_time_limit": 0,
        "memory_limit": 0,
        "share_network": False,
        "socket_id": socket_id,
        "ssh": False,
        "run_as_root": False,
    }
    return frame({**message, **fields})


class Calls(case.SystemTest):
    def setUp(self):
        super().setUp()
        self.agent = self.start_agent(store=make_store(self.directory))

    def runs(self, does="exit 0", grader="payload run-student /sockets/s.sock", **fields):
        """The status that the grader was told of a student that runs DOES, and how long the job
        took. "timeout": it was left waiting."""
        name = f"course/task{len(self.backend.jobs)}"
        statuses = {f"says_{n}": result(result=str(n)) for n in range(256)}
        self.courses.add(name, run=f"{grader}; cat says.$?", request=request(**fields), **statuses)
        directory = os.path.join(self.courses.directory, name, "student")
        os.mkdir(directory)
        with open(directory + "/does", "w", encoding="ascii") as file:
            file.write(does)
        start = time.monotonic()
        done = self.grade(name, environment="lab", limits={"time": 5, "hard_time": 10})
        return done["result"][0], time.monotonic() - start

    def assert_told(self, status, *words, **fields):
        told, seconds = self.runs(*words, **fields)
        self.assertEqual(told, str(status))
        return seconds

    def test_a_student_that_never_calls(self):
        self.assert_told(3, "exit 3")

    def test_a_student_that_never_calls_is_answered_at_once(self):
        self.assertLess(self.assert_told(3, "exit 3"), 1 * host.time_scale())

    def test_a_student_that_cannot_start(self):
        self.assert_told(254, environment="none")

    def test_a_student_without_memory_for_its_start(self):
        self.assert_told(252, "tail /dev/zero", memory_limit=6)

    def test_a_student_that_cannot_start_in_its_graders_network(self):
        self.assert_told(254, environment="none", share_network=True)

    def test_a_student_that_sleeps_instead_of_calling(self):
        self.assert_told(253, "sleep 100", hard_time_limit=1)

    def test_a_student_that_burns_its_time_instead_of_calling(self):
        self.assert_told(253, "while :; do :; done", time_limit=1)

    def test_a_student_whose_first_process_dies_of_a_signal(self):
        self.assert_told(128 + signal.SIGILL, "exec payload fault")

    def test_a_student_that_calls_and_leaves(self):
        self.assert_told(7, "payload obey /__parent.sock; exit 7")

    def test_a_student_that_calls_from_its_graders_network(self):
        self.assert_told(7, "payload obey /__parent.sock; exit 7", share_network=True)
        self.assert_told(9, "exit 9", share_network=True)

    def test_a_student_that_is_out_of_memory_after_its_call(self):
        self.assert_told(252, "payload obey /__parent.sock; tail /dev/zero", memory_limit=10)

    def test_forty_students_that_leave_early_are_each_answered(self):
        # In the middle of everything: the call, the talk, the answer.
        for n in range(20):
            self.assert_told(n, f"payload obey /__parent.sock; exit {n}")
            self.assert_told(n, f"exit {n}")

    def test_a_grader_that_does_not_wait_is_answered_at_once(self):
        # Its socket is bound, but nobody listens: the call is refused.
        grader = "payload kinds /sockets >/dev/null & sleep 0.2; cat request; payload status"
        told, seconds = self.runs("exit 5", grader, socket_id="deaf")
        self.assertEqual(told, "5")
        self.assertLess(seconds, 2 * host.time_scale())

    def test_a_grader_that_says_nothing_to_its_student_is_answered_in_the_end(self):
        grader = "payload serve /sockets/s.sock >/dev/null & sleep 0.2; cat request; payload status"
        told, seconds = self.runs("exit 5", grader)
        self.assertEqual(told, "5")
        self.assertGreater(seconds, 2)

    def test_a_grader_that_lets_nobody_in_is_answered(self):
        grader = "payload kinds /sockets >/dev/null & sleep 0.2; cat request; payload status"
        told, _ = self.runs("payload call-and-leave /__parent.sock; exit 5", grader, socket_id="full")
        self.assertEqual(told, "5")

    def test_a_link_in_place_of_the_socket_is_answered_at_once(self):
        # A student gets what it leads to, below /sockets; we do not call by it.
        grader = "payload kinds /sockets >/dev/null & sleep 0.2; cat request; payload status"
        told, seconds = self.runs("exit 5", grader, socket_id="link")
        self.assertEqual(told, "5")
        self.assertLess(seconds, 2 * host.time_scale())

    def test_a_talkative_grader_costs_no_memory(self):
        grader = "payload flood /sockets/s.sock & sleep 0.2; cat request; payload status"
        before = host.rss_kib(self.agent.pid)
        told, seconds = self.runs("exit 5", grader)
        self.assertEqual(told, "5")
        self.assertLess(seconds, 8 * host.time_scale())
        self.assert_memory_below(self.agent.pid, before + 4096)

    def test_descriptors_that_a_grader_passes_are_not_kept(self):
        before = len(host.fd_targets(self.agent.pid))
        grader = "payload pass /sockets/s.sock & sleep 0.2; cat request; payload status"
        self.assert_told(5, "exit 5", grader)
        self.assertTrue(host.wait_until(lambda: len(host.fd_targets(self.agent.pid)) <= before))

    def test_the_job_ends_while_its_grader_is_called(self):
        # The grader leaves while the agent still waits for its word.
        grader = "payload serve /sockets/s.sock >/dev/null & sleep 0.2; cat request; sleep 0.5; true"
        self.assert_told(0, "exit 5", grader)
        fds = len(host.fd_targets(self.agent.pid))
        for _ in range(5):
            self.assert_told(0, "exit 5", grader)
        self.assertTrue(host.wait_until(lambda: len(host.fd_targets(self.agent.pid)) <= fds))

    def test_the_agent_leaves_while_a_grader_is_called(self):
        name = self.courses.add(
            "course/held",
            run="payload serve /sockets/s.sock >/dev/null & sleep 0.2; cat request; sleep 100",
            request=request(),
        )
        self.backend.wait_started(self.backend.new_job(name, environment="lab"))
        self.backend.serve(1.0)
        self.assertEqual(self.agent.stop(), 0)


if __name__ == "__main__":
    case.main()
