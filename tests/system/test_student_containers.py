"""Student containers of the default image: everything run_student can be asked for, seen from the
grader, and what is left on the host."""

import os
import re
import time

from harness import case, host
from harness.tasks import SUCCESS, frame

SHELL = "#!/bin/bash\nfeedback-result success\n"
SCALE = int(host.time_scale())
LIMITS = {"time": 20 * SCALE, "hard_time": 60 * SCALE, "memory": 100}


class Student(case.SystemTest):
    def setUp(self):
        super().setUp()
        self.need_default_image()
        self.agent = self.start_agent()

    def runs(self, script, student=None, **limits):
        """AgentJobDone of a job whose `run` is SCRIPT; STUDENT: files of the task's student/."""
        name = f"course/task{len(self.backend.jobs)}"
        self.courses.add(name, run=SHELL + script)
        if student is not None:
            directory = os.path.join(self.courses.directory, name, "student")
            os.mkdir(directory)
            for file_name, content in student.items():
                with open(os.path.join(directory, file_name), "w", encoding="utf-8") as file:
                    file.write(content)
        done = self.grade(name, environment="default", limits={**LIMITS, **limits})
        self.assertEqual(done["result"][0], "success", done)
        return done

    def custom(self, script, *args, **limits):
        return self.runs(script, *args, **limits)["custom"]

    def status(self, command, **limits):
        """What `run_student COMMAND` exits with."""
        return self.custom(f"run_student {command}\nfeedback-custom rc $?\n", **limits)["rc"]

    # -- exit statuses

    def test_output_input_and_exit_status(self):
        script = 'o=$(echo hello | run_student cat)\nfeedback-custom rc $?\nfeedback-custom o "$o"\n'
        self.assertEqual(self.custom(script), {"rc": 0, "o": "hello"})

    def test_exit_statuses_pass(self):
        script = 'r=""; for n in 0 1 7 126 200 255; do run_student sh -c "\'exit $n\'"; r="$r $?"; done\n'
        self.assertEqual(self.custom(script + 'feedback-custom r "$r"\n')["r"], " 0 1 7 126 200 255")

    def test_out_of_memory_is_252_and_the_graders_own_memory_is_its_own(self):
        # Everything at once would be too much for the grader's limit.
        script = (
            "head -c 40000000 /dev/zero > /dev/shm/x\n"
            "run_student --memory 30 sh -c \"'head -c 90000000 /dev/zero | tail'\"\n"
            "feedback-custom rc $?\n"
            "run_student sh -c \"'head -c 60000000 /dev/zero > /dev/shm/x'\"\n"
            "feedback-custom own $?\n"
        )
        self.assertEqual(self.custom(script), {"rc": 252, "own": 0})

    def test_processor_time_is_253(self):
        self.assertEqual(self.status("--time 1 sh -c \"'while :; do :; done'\""), 253)

    def test_wall_time_is_253(self):
        self.assertEqual(self.status("--hard-time 1 sleep 30"), 253)

    def test_limits_are_never_above_the_graders(self):
        greedy = "--memory 1000 sh -c \"'head -c 90000000 /dev/zero | tail'\""
        self.assertEqual(self.status(greedy, memory=40), 252)
        start = time.monotonic()
        done = self.grade(
            self.courses.add("course/wall", run=SHELL + "run_student --hard-time 100 sleep 100\n"),
            environment="default",
            limits={**LIMITS, "hard_time": 2},
        )
        # The grader waits on the same clock: whichever is first, nothing takes 100 seconds.
        self.assertIn(done["result"][0], ("timeout", "success"))
        self.assertLess(time.monotonic() - start, 10 * SCALE)

    def test_less_memory_than_a_container_can_have_is_254(self):
        for memory in (5, 1, -1):
            self.assertEqual(self.status(f"--memory={memory} true"), 254)
        self.assertEqual(self.status("--memory 6 true"), 0)

    def test_unknown_environments_are_254(self):
        self.assertEqual(self.status("--container nosuch true"), 254)
        self.assertEqual(self.status("--container default true"), 0)

    def test_an_environment_without_students_is_254(self):
        self.assertEqual(self.status("--container raw true"), 254)

    # -- what a student sees

    def test_students_run_as_worker_or_as_the_containers_root(self):
        script = (
            'feedback-custom w "$(run_student id -u)"\n'
            "feedback-custom n \"$(run_student grep -c NoNewPrivs:.1 /proc/self/status)\"\n"
            "o=$(run_student --run-as-root sh -c \"'id -u; echo x > /etc/x; cat /etc/x'\" | tr '\\n' ' ')\n"
            'feedback-custom r "$o"\n'
        )
        self.assertEqual(self.custom(script), {"w": 4242, "n": 1, "r": "0 x "})

    def test_the_containers_root_is_nobody_on_the_host(self):
        job = self.backend.new_job(
            self.courses.add("course/root", run=SHELL + "run_student --run-as-root sleep 33\n"),
            environment="default",
        )
        self.backend.wait(lambda: self.processes("sleep 33"), "student")
        for pid in self.processes("sleep 33"):
            uids = {int(word) for word in host.status_field(pid, "Uid").split()}
            self.assertTrue(all(uid >= 0x80000 for uid in uids), uids)
            self.assertEqual(self.uid_map(pid), self.uid_map(self.processes("INGInious")[0]))
        self.backend.kill_job(job)
        self.backend.wait_done(job)
        self.assertTrue(host.wait_until(lambda: not self.processes("sleep 33"), 5))

    def processes(self, words):
        found = []
        for pid in host.descendants(self.agent.pid):
            try:
                if words in host.read(f"/proc/{pid}/cmdline").replace("\0", " "):
                    found.append(pid)
            except OSError:
                pass
        return found

    def uid_map(self, pid):
        return host.read(f"/proc/{pid}/uid_map").split()

    def test_files_of_the_task_are_not_the_students(self):
        script = (
            "echo secret > /task/secret; echo in > /task/student/in; mkdir -p /task/systemfiles\n"
            "run_student sh -c \"'cat /task/secret /task/student/in; echo made > student/made;"
            " touch /task/systemfiles/x /course/common/student/x; ls /task'\" > o 2>e\n"
            'feedback-custom o "$(tr "\\n" " " < o)"; feedback-custom made "$(cat student/made)"\n'
            'feedback-custom errors "$(grep -c . e)"\n'
        )
        custom = self.custom(script)
        self.assertEqual(custom["o"], "in student systemfiles ")
        self.assertEqual(custom["made"], "made")
        self.assertEqual(custom["errors"], 3)  # secret, and two places that cannot be written

    def test_files_given_with_the_task_reach_the_student(self):
        done = self.custom('feedback-custom o "$(run_student cat student/given)"\n', {"given": "from the task"})
        self.assertEqual(done["o"], "from the task")

    def test_each_has_a_host_name_of_its_own(self):
        script = (
            'feedback-custom g "$(hostname)x"\n'
            'for i in 1 2; do feedback-custom s$i "$(run_student hostname)x"; done\n'
        )
        names = self.custom(script)
        self.assertEqual(len(set(names.values())), 3)
        for name in names.values():
            self.assertRegex(name, re.compile("^[0-9a-f]{12}x$"))

    def test_there_is_no_network_but_ones_own(self):
        script = (
            'feedback-custom own "$(run_student cat /proc/net/dev | grep -c :)"\n'
            'feedback-custom g "$(readlink /proc/self/ns/net)"\n'
            'feedback-custom s "$(run_student readlink /proc/self/ns/net)"\n'
            'feedback-custom shared "$(run_student --share-network readlink /proc/self/ns/net)"\n'
        )
        custom = self.custom(script)
        self.assertEqual(custom["own"], 1)
        self.assertEqual(custom["shared"], custom["g"])
        self.assertNotEqual(custom["s"], custom["g"])

    # -- many, and the end

    def test_several_run_at_once(self):
        script = (
            "for i in 1 2 3 4; do (run_student sh -c \"'sleep 1; exit $i'\"; echo $? > r$i) & done; wait\n"
            'feedback-custom r "$(cat r1 r2 r3 r4 | tr "\\n" " ")"\n'
        )
        start = time.monotonic()
        self.assertEqual(self.custom(script)["r"], "1 2 3 4 ")
        self.assertLess(time.monotonic() - start, 3.5 * SCALE)

    def test_more_at_once_than_allowed_are_refused_at_once(self):
        script = (
            "for i in $(seq 40); do (run_student sleep 3; echo $? > r$i) & done; wait\n"
            'feedback-custom ok "$(cat r* | grep -c "^0$")"; feedback-custom no "$(cat r* | grep -c "^254$")"\n'
            'run_student true; feedback-custom after $?\n'
        )
        custom = self.custom(script, time=60 * SCALE)
        self.assertEqual(custom, {"ok": 32, "no": 8, "after": 0})

    def test_three_hundred_in_sequence_leave_nothing_behind(self):
        before = None
        script = (
            "for i in $(seq 100); do run_student true || break; done; feedback-custom rc $?\n"
            "for i in $(seq 100); do run_student --memory 1 true && break; done; feedback-custom no $?\n"
        )
        for _ in range(3):
            custom = self.custom(script, time=60 * SCALE, hard_time=180 * SCALE)
            self.assertEqual(custom, {"rc": 0, "no": 254})
            now = (len(host.fd_targets(self.agent.pid)), len(host.fd_targets(self.agent.launcher)))
            before = before or now
            # The answer leaves before the job's pipes are closed.
            self.assertTrue(
                host.wait_until(lambda: len(host.fd_targets(self.agent.pid)) <= before[0], 5)
            )
            self.assertTrue(
                host.wait_until(lambda: len(host.fd_targets(self.agent.launcher)) <= before[1] + 8, 5)
            )

    def test_students_end_with_their_grader(self):
        self.runs("run_student sleep 77 & run_student sleep 77 &\nsleep 1\n")
        self.assertTrue(host.wait_until(lambda: not self.processes("sleep 77"), 2))

    def ended(self, script, **limits):
        """The kind of end of a job with a student that would sleep on."""
        task = self.courses.add("course/end", run=SHELL + "run_student sleep 77 &\n" + script)
        kind = self.grade(task, environment="default", limits={**LIMITS, **limits})["result"][0]
        self.assertTrue(host.wait_until(lambda: not self.processes("sleep 77"), 2))
        return kind

    def test_students_end_with_a_grader_out_of_memory(self):
        self.assertEqual(self.ended("sleep 0.5; head -c 200000000 /dev/zero | tail; sleep 5"), "overflow")

    def test_students_end_with_a_grader_out_of_time(self):
        self.assertEqual(self.ended("while :; do :; done", time=1), "timeout")

    def test_students_end_with_a_job_that_is_killed(self):
        task = self.courses.add("course/kill", run=SHELL + "run_student sleep 77")
        job = self.backend.new_job(task, environment="default")
        self.backend.wait(lambda: self.processes("sleep 77"), "student")
        self.backend.kill_job(job)
        self.assert_ended(self.backend.wait_done(job, 5), "killed")
        self.assertTrue(host.wait_until(lambda: not self.processes("sleep 77"), 2))

    def test_students_end_with_the_agent(self):
        task = self.courses.add("course/stop", run=SHELL + "run_student sleep 77")
        self.backend.new_job(task, environment="default")
        self.backend.wait(lambda: self.processes("sleep 77"), "student")
        self.agent.kill()
        self.assert_nothing_runs()


def request(**changes):
    message = {
        "type": "run_student",
        "environment": None,
        "time_limit": 0,
        "hard_time_limit": 0,
        "memory_limit": 0,
        "share_network": False,
        "socket_id": "s",
        "ssh": False,
        "run_as_root": False,
    }
    return frame({**message, **changes})


def retval(number, socket_id="s"):
    return frame({"type": "run_student_retval", "retval": number, "socket_id": socket_id})


class Requests(case.SystemTest):
    """run_student as bytes of a grader's own. Its socket is never there: a student that is made fails
    to start, one that is refused is not even announced."""

    def setUp(self):
        super().setUp()
        self.start_agent()

    def assert_answered(self, requests, answers):
        """A grader that says REQUESTS reads exactly ANSWERS."""
        inputdata = {"@state": ""}
        start = frame(
            {
                "type": "start",
                "input": inputdata,
                "debug": False,
                "envtypes": {"docker": True},
                "run_as_root": False,
            }
        )
        task = self.courses.add(
            f"course/task{len(self.backend.jobs)}",
            # What follows the answers would be one too many.
            run=f"head -c {len(start)} >/dev/null; cat requests & head -c {len(answers)} | cmp - answers"
            " && sleep 0.2 && cat says; sleep 0.1",
            requests=requests,
            answers=answers,
            says=SUCCESS,
        )
        done = self.grade(task, inputdata=inputdata, limits={"hard_time": 20 * SCALE})
        self.assertEqual(done["result"], ("success", "done"))

    def crash_text(self, content):
        task = self.courses.add("course/crash", run="cat says; sleep 30", says=content)
        start = time.monotonic()
        done = self.grade(task, inputdata={"@state": "before"})
        self.assertLess(time.monotonic() - start, 5 * SCALE)
        self.assertEqual((done["result"][0], done["grade"], done["state"]), ("crash", 0.0, "before"))
        self.assertEqual((done["stdout"], done["stderr"], done["archive"]), ("", "", None))
        return done["result"][1]

    def test_what_cannot_be_is_refused_at_once(self):
        for changes in (
            {"environment": "nosuch"},
            {"memory_limit": 5},
            {"memory_limit": -1},
            {"memory_limit": -(2**63)},
            {"run_as_root": True},  # by an image that cannot
        ):
            self.assert_answered(request(**changes), retval(254))

    def test_requests_that_cannot_be_read_are_refused_where_somebody_waits(self):
        for changes in ({"memory_limit": "x"}, {"time_limit": 1.5}, {"environment": 7}):
            self.assert_answered(request(**changes), retval(254))
        without_limits = frame({"type": "run_student", "socket_id": "s"})
        self.assert_answered(without_limits, retval(254))

    def test_socket_ids_that_are_no_file_names_are_passed_over(self):
        bad = b"".join(
            request(socket_id=name, environment="nosuch")
            for name in ("../x", "..", ".", "", "a/b", "/", "x" * 251, "a\0b")
        )
        good = "x" * 250
        self.assert_answered(bad + request(socket_id=good, environment="nosuch"), retval(254, good))

    def test_a_hundred_thousand_requests_are_each_answered(self):
        number = 100000
        self.assert_answered(request(environment="nosuch") * number, retval(254) * number)
        # ... but not each told to the administrator.
        lines = self.agents[0].messages().splitlines()
        self.assertLessEqual(len([line for line in lines if "run_student" in line]), 20)
        self.assertTrue(any("not told here" in line for line in lines), lines)

    def test_a_flood_of_requests_with_a_missing_socket_starts_no_more_than_allowed(self):
        task = self.courses.add(
            "course/flood", run="cat requests; sleep 1; cat says", requests=request() * 2000, says=SUCCESS
        )
        self.assertEqual(self.grade(task)["result"], ("success", "done"))

    def test_ssh_ends_the_job(self):
        self.assertEqual(
            self.crash_text(request(ssh=True)),
            "ssh for student requires to allow ssh and internet access in the task environment"
            " configuration tab!",
        )

    def test_ssh_to_a_foreign_container_ends_the_job(self):
        message = {"type": "ssh_student", "ssh_user": "u", "ssh_key": "k", "container_id": "0" * 64}
        self.assertEqual(
            self.crash_text(frame(message)),
            "Trying to connect with ssh to a non-children student container !",
        )

    def test_requests_behind_a_result_do_not_hold_the_job_up(self):
        task = self.courses.says("course/late", SUCCESS, request() * 10)
        self.assertEqual(self.grade(task)["result"], ("success", "done"))


if __name__ == "__main__":
    case.main()
