"""Student containers: what test_student_containers.py leaves out."""

from harness import case, host
from harness.tasks import SUCCESS, frame, result

SHELL = "#!/bin/bash\n"
# Says VALUE as the custom value KEY: tell KEY VALUE
TELL = 'tell() { feedback-custom "$1" "$2"; }\nfeedback-result success\n'


def script(name, text):
    """Shell words that make /task/student/NAME, a script."""
    return f"cat >/task/student/{name} <<'END'\n#!/bin/bash\n{text}\nEND\nchmod 755 /task/student/{name}\n"


class Student(case.SystemTest):
    def setUp(self):
        super().setUp()
        self.need_default_image()
        self.agent = self.start_agent()

    def runs(self, text, limits=None, **fields):
        """AgentJobDone of a job whose run script is TEXT."""
        task = self.courses.add("course/task", run=SHELL + TELL + text)
        return self.grade(task, environment="default", limits=limits or {}, **fields)

    def custom(self, text, limits=None, **fields):
        done = self.runs(text, limits, **fields)
        self.assertEqual(done["result"], ("success", ""))
        return done["custom"]

    @staticmethod
    def seconds(natively, emulated):
        """In a virtual machine the grader's own few commands cost seconds of processor time."""
        return natively if host.time_scale() < 10 else emulated

    def no_sleep_runs(self):
        return not [line for line in self.cgroup.left() if " sleep (" in line]

    def test_a_signal_is_negative_as_python_says_it(self):
        found = self.custom(
            script("x", "kill -$1 $$")
            + 'for i in 9 15; do run_student /task/student/x $i; all+="$? "; done\ntell all "$all"\n'
        )
        self.assertEqual(found, {"all": "247 241 "})

    def test_processor_time_is_253_and_is_not_the_graders(self):
        """More than the job's own time is used by its student containers."""
        burn = script("x", "while :; do :; done")
        found = self.custom(
            burn + 'for i in 1 2 3; do run_student --time 2 /task/student/x; all+="$? "; done; tell all "$all"\n',
            {"time": self.seconds(4, 40), "hard_time": 200},
        )
        self.assertEqual(found, {"all": "253 253 253 "})

    def test_no_more_time_than_the_job_can_be_had(self):
        burn = script("x", "while :; do :; done")
        found = self.custom(
            burn + "run_student --time 100 /task/student/x; tell r $?\n", {"time": self.seconds(3, 15), "hard_time": 200}
        )
        self.assertEqual(found, {"r": 253})

    def test_wall_time_of_the_student_counts_in_the_graders(self):
        done = self.runs("run_student sleep 60\n", {"hard_time": 2})
        self.assert_ended(done, "timeout")
        self.assertTrue(host.wait_until(self.no_sleep_runs, 5))

    def test_what_the_student_sees(self):
        look = script(
            "x",
            "id -u; ls -A /sockets; ls -A /archive 2>/dev/null\n"
            "ls -d /.__input /task/student/scripts 2>/dev/null; ls -A /task; ls -A /sys/class/net\n"
            "touch /task/student/made && echo task; touch /course/common/student/no 2>/dev/null || echo common\n"
            "touch /task/systemfiles/no 2>/dev/null || echo systemfiles\n"
            "echo ${#HOSTNAME} ${DEBUGGER-none}",
        )
        found = self.custom(look + 'tell said "$(run_student /task/student/x)"\ntell made "$(ls /task/student/made)"\n')
        self.assertEqual(
            found["said"].split("\n"),
            ["4242", "/task/student/scripts", "student", "systemfiles", "lo", "task", "common", "systemfiles", "12 none"],
        )
        self.assertEqual(found["made"], "/task/student/made")

    def test_the_courses_common_files_for_students_are_there(self):
        self.courses.add("course/$common/student", file="for students")
        found = self.custom('tell said "$(run_student cat /course/common/student/file)"\n')
        self.assertEqual(found, {"said": "for students"})

    def test_signals_are_passed_on(self):
        wait = script("x", "trap 'echo got it; exit 3' TERM; echo ready >/task/student/ready; while :; do sleep 0.1; done")
        found = self.custom(
            wait
            + "run_student /task/student/x >/tmp/out & student=$!\n"
            + "while [ ! -e /task/student/ready ]; do sleep 0.05; done\n"
            + 'kill -TERM $student; wait $student; tell r $?; tell said "$(cat /tmp/out)"\n'
        )
        self.assertEqual(found, {"r": 3, "said": "got it"})


class Protocol(case.SystemTest):
    """Graders whose every byte the test controls."""

    def setUp(self):
        super().setUp()
        self.start_agent()

    INPUT = {"@state": "of the job"}
    START = frame({"type": "start", "input": INPUT, "debug": False, "envtypes": {"docker": True}, "run_as_root": False})

    REQUEST = frame(
        {
            "type": "run_student",
            "environment": None,
            "time_limit": 0,
            "hard_time_limit": 0,
            "memory_limit": 0,
            "share_network": False,
            "socket_id": "s1",
            "ssh": False,
            "run_as_root": False,
        }
    )

    def test_a_container_that_was_made_is_named_before_it_starts(self):
        started = frame({"type": "run_student_started", "socket_id": "s1", "container_id": "0" * 64})
        begin = self.START + started[:-64]
        run = (
            f"cat request; head -c {len(begin) + 64} >heard; head -c {len(begin)} heard | cmp - begin\n"
            "[ $? = 0 ] && [ $(tail -c 64 heard | tr -d 0-9a-f | wc -c) = 0 ] && cat says"
        )
        task = self.courses.add("course/task", run=run, request=self.REQUEST, begin=begin, says=SUCCESS)
        done = self.grade(task, inputdata=self.INPUT, limits={"hard_time": 60})
        self.assertEqual(done["result"], ("success", "done"))

    def test_a_flood_of_requests_does_not_disturb_others(self):
        flood = self.REQUEST * 3000 + result(result="failed", text="flooded")
        noisy = self.backend.new_job(self.courses.says("course/noise", flood), limits={"hard_time": 90})
        task = self.courses.says("course/quiet", SUCCESS)
        self.assertEqual(self.grade(task)["result"], ("success", "done"))
        self.assertEqual(self.backend.wait_done(noisy)["result"], ("failed", "flooded"))


if __name__ == "__main__":
    case.main()
