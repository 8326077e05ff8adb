"""Student containers through the real agent: run_student of the default image, and graders that
speak the protocol themselves."""

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

    def sleepers(self):
        """Process ids of what sleeps in a container."""
        return [pid for pid in host.descendants(self.agent.launcher) if " sleep (" in " " + host.describe(pid)]

    def no_sleep_runs(self):
        return not [line for line in self.cgroup.left() if " sleep (" in line]

    def test_input_outputs_and_directory_are_the_commands_own(self):
        found = self.custom(
            script("x", "pwd; cat; echo err >&2")
            + "cd /task/student\n"
            + 'tell out "$(echo in | run_student ./x 2>/tmp/err)"\ntell err "$(cat /tmp/err)"\n'
        )
        self.assertEqual(found, {"out": "/task/student\nin", "err": "err"})

    def test_exit_statuses_are_the_commands_own(self):
        found = self.custom(
            script("x", "exit $1")
            + "for i in 0 1 7 126 200 255; do run_student /task/student/x $i; all+=\"$? \"; done\n"
            + 'tell all "$all"\n'
        )
        self.assertEqual(found, {"all": "0 1 7 126 200 255 "})

    def test_a_signal_is_negative_as_python_says_it(self):
        found = self.custom(
            script("x", "kill -$1 $$")
            + 'for i in 9 15; do run_student /task/student/x $i; all+="$? "; done\ntell all "$all"\n'
        )
        self.assertEqual(found, {"all": "247 241 "})

    def test_out_of_memory_is_252_and_the_grader_goes_on(self):
        eat = script("x", "a=xxxxxxxxxxxxxxxx; while :; do a=$a$a; done")
        self.assertEqual(self.custom(eat + "run_student --memory 30 /task/student/x; tell r $?\n"), {"r": 252})

    def test_memory_of_the_student_is_not_the_graders(self):
        """Both together are more than the job's limit."""
        eat = script("x", "head -c 45000000 /dev/zero >/dev/shm/x && echo good")
        found = self.custom(
            eat + 'head -c 45000000 /dev/zero >/dev/shm/x\ntell said "$(run_student /task/student/x)"\n', {"memory": 70}
        )
        self.assertEqual(found, {"said": "good"})

    def test_no_more_memory_than_the_job_can_be_had(self):
        eat = script("x", "head -c 90000000 /dev/zero >/dev/shm/x; exit 0")
        found = self.custom(eat + "run_student --memory 1000 /task/student/x; tell r $?\n", {"memory": 60})
        self.assertEqual(found, {"r": 252})

    def test_processor_time_is_253_and_is_not_the_graders(self):
        """Three times the job's own time are used by its student containers."""
        burn = script("x", "while :; do :; done")
        found = self.custom(
            burn + 'for i in 1 2 3; do run_student --time 1 /task/student/x; all+="$? "; done; tell all "$all"\n',
            {"time": 2, "hard_time": 60},
        )
        self.assertEqual(found, {"all": "253 253 253 "})

    def test_wall_time_is_253(self):
        self.assertEqual(self.custom("run_student --hard-time 1 sleep 60; tell r $?\n"), {"r": 253})

    def test_no_more_time_than_the_job_can_be_had(self):
        burn = script("x", "while :; do :; done")
        found = self.custom(
            burn + "run_student --time 100 /task/student/x; tell r $?\n", {"time": 1, "hard_time": 60}
        )
        self.assertEqual(found, {"r": 253})

    def test_wall_time_of_the_student_counts_in_the_graders(self):
        done = self.runs("run_student sleep 60\n", {"hard_time": 2})
        self.assert_ended(done, "timeout")
        self.assertTrue(host.wait_until(self.no_sleep_runs, 5))

    def test_an_unknown_environment_is_254(self):
        self.assertEqual(self.custom("run_student --container nope true; tell r $?\n"), {"r": 254})

    def test_less_memory_than_docker_grants_is_254(self):
        found = self.custom('for m in 1 5 -1; do run_student --memory=$m true; all+="$? "; done; tell all "$all"\n')
        self.assertEqual(found, {"all": "254 254 254 "})

    def test_a_container_that_dies_at_once_hangs_nobody(self):
        """In the image `raw` there is no student program: nobody calls the grader."""
        found = self.custom("run_student --container raw true; tell r $?\n")
        self.assertNotEqual(found["r"], 0)

    def test_another_environment_is_used(self):
        images = script("x", "exit 0")
        found = self.custom(images + "run_student --container default /task/student/x; tell r $?\n")
        self.assertEqual(found, {"r": 0})

    def test_what_the_student_sees(self):
        look = script(
            "x",
            "id -u; ls -A /sockets; ls -A /archive 2>/dev/null; ls -d /.__input 2>/dev/null; ls -A /task; ls -A /sys/class/net\n"
            "touch /task/student/made && echo task; touch /course/common/student/no 2>/dev/null || echo common\n"
            "touch /task/systemfiles/no 2>/dev/null || echo systemfiles\n"
            "echo ${#HOSTNAME} ${DEBUGGER-none}",
        )
        found = self.custom(look + 'tell said "$(run_student /task/student/x)"\ntell made "$(ls /task/student/made)"\n')
        self.assertEqual(
            found["said"].split("\n"),
            ["4242", "student", "systemfiles", "lo", "task", "common", "systemfiles", "12 none"],
        )
        self.assertEqual(found["made"], "/task/student/made")

    def test_the_courses_common_files_for_students_are_there(self):
        self.courses.add("course/$common/student", file="for students")
        found = self.custom('tell said "$(run_student cat /course/common/student/file)"\n')
        self.assertEqual(found, {"said": "for students"})

    def test_the_network_is_the_graders_only_when_shared(self):
        look = script("x", "readlink /proc/self/ns/net")
        found = self.custom(
            look
            + 'tell own "$(readlink /proc/self/ns/net)"\ntell shared "$(run_student --share-network /task/student/x)"\n'
            + 'tell none "$(run_student /task/student/x)"\n'
        )
        self.assertEqual(found["shared"], found["own"])
        self.assertNotEqual(found["none"], found["own"])
        self.assertTrue(found["none"].startswith("net:["))

    def test_as_root_it_is_root_of_its_container_and_nobody_on_the_host(self):
        look = script("x", "id -u; sleep 3")
        task = self.courses.add(
            "course/task", run=SHELL + TELL + look + 'tell said "$(run_student --run-as-root /task/student/x)"\n'
        )
        job = self.backend.new_job(task, environment="default")
        self.backend.wait(self.sleepers, "a sleeping student", 15)
        self.assertGreaterEqual(int(host.status_field(self.sleepers()[0], "Uid").split()[0]), 65536)
        self.assertEqual(self.backend.wait_done(job)["custom"], {"said": 0})

    def test_signals_are_passed_on(self):
        wait = script("x", "trap 'echo got it; exit 3' TERM; echo ready >/task/student/ready; while :; do sleep 0.1; done")
        found = self.custom(
            wait
            + "run_student /task/student/x >/tmp/out & student=$!\n"
            + "while [ ! -e /task/student/ready ]; do sleep 0.05; done\n"
            + 'kill -TERM $student; wait $student; tell r $?; tell said "$(cat /tmp/out)"\n'
        )
        self.assertEqual(found, {"r": 3, "said": "got it"})

    def test_several_at_once(self):
        found = self.custom(
            script("x", "sleep 0.3; exit $1")
            + "for i in 1 2 3 4 5 6; do run_student /task/student/x $i & all[i]=$!; done\n"
            + 'for i in 1 2 3 4 5 6; do wait ${all[i]}; said+="$? "; done; tell said "$said"\n'
        )
        self.assertEqual(found, {"said": "1 2 3 4 5 6 "})

    def test_a_hundred_in_sequence(self):
        found = self.custom(
            "for i in {1..100}; do run_student true && good=$((good+1)); done; tell good $good\n",
            {"time": 60, "hard_time": 180},
        )
        self.assertEqual(found, {"good": 100})

    def test_a_kill_of_the_job_ends_its_student_containers(self):
        task = self.courses.add(
            "course/task", run=SHELL + "run_student sleep 60 & run_student sleep 60 & sleep 60\n"
        )
        job = self.backend.new_job(task, environment="default")
        self.backend.wait(lambda: len(self.sleepers()) == 3, "three sleepers", 20)
        self.backend.kill_job(job)
        self.assert_ended(self.backend.wait_done(job, 5), "killed")
        self.assertTrue(host.wait_until(self.no_sleep_runs, 5))

    def test_a_grader_that_ends_takes_its_student_containers_along(self):
        done = self.runs("run_student sleep 60 </dev/null >/dev/null 2>&1 &\nsleep 1\n")
        self.assertEqual(done["result"], ("success", ""))
        self.assertTrue(host.wait_until(self.no_sleep_runs, 5))


class Protocol(case.SystemTest):
    """Graders whose every byte the test controls."""

    def setUp(self):
        super().setUp()
        self.start_agent()

    INPUT = {"@state": "of the job"}
    START = frame({"type": "start", "input": INPUT, "debug": False, "envtypes": {"docker": True}, "run_as_root": False})

    def request(self, **changes):
        fields = {
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
        fields.update(changes)
        return frame({key: value for key, value in fields.items() if value is not ...})

    def answer(self, request, *answers):
        """A job that says REQUEST and is content when it hears exactly ANSWERS."""
        expected = self.START + b"".join(answers)
        run = f"cat request; head -c {len(expected)} | cmp - expected && cat says"
        task = self.courses.add("course/task", run=run, request=request, expected=expected, says=SUCCESS)
        return self.grade(task, inputdata=self.INPUT, limits={"hard_time": 10})

    @staticmethod
    def retval(number, socket_id="s1"):
        return frame({"type": "run_student_retval", "retval": number, "socket_id": socket_id})

    def test_a_request_without_a_key_is_answered(self):
        done = self.answer(self.request(memory_limit=...), self.retval(254))
        self.assertEqual(done["result"], ("success", "done"))

    def test_a_request_for_root_in_a_foreign_image_is_answered(self):
        done = self.answer(self.request(run_as_root=True), self.retval(254))
        self.assertEqual(done["result"], ("success", "done"))

    def test_socket_ids_that_are_no_file_names_are_not_looked_for(self):
        """None of them can be answered; the job goes on."""
        requests = [self.request(socket_id=bad) for bad in ("../x", "..", ".", "", "a/b", "x" * 5000)]
        done = self.answer(b"".join(requests) + self.request(environment="nope"), self.retval(254))
        self.assertEqual(done["result"], ("success", "done"))

    def test_a_container_that_was_made_is_named_before_it_starts(self):
        started = frame({"type": "run_student_started", "socket_id": "s1", "container_id": "0" * 64})
        begin = self.START + started[:-64]
        run = (
            f"cat request; head -c {len(begin) + 64} >heard; head -c {len(begin)} heard | cmp - begin\n"
            "[ $? = 0 ] && [ $(tail -c 64 heard | tr -d 0-9a-f | wc -c) = 0 ] && cat says"
        )
        task = self.courses.add("course/task", run=run, request=self.request(), begin=begin, says=SUCCESS)
        done = self.grade(task, inputdata=self.INPUT, limits={"hard_time": 10})
        self.assertEqual(done["result"], ("success", "done"))

    def test_ssh_of_a_student_without_permission_ends_the_job(self):
        task = self.courses.add("course/task", run="cat request; sleep 60", request=self.request(ssh=True))
        done = self.grade(task, inputdata=self.INPUT)
        text = "ssh for student requires to allow ssh and internet access in the task environment configuration tab!"
        self.assertEqual((done["result"], done["stdout"], done["stderr"]), (("crash", text), "", ""))

    def test_ssh_of_a_container_of_somebody_else_ends_the_job(self):
        foreign = {"type": "ssh_student", "ssh_user": "worker", "ssh_key": "x", "container_id": "f" * 64}
        task = self.courses.add("course/task", run="cat request; sleep 60", request=frame(foreign))
        done = self.grade(task, inputdata=self.INPUT)
        text = "Trying to connect with ssh to a non-children student container !"
        self.assertEqual((done["result"], done["stdout"], done["stderr"]), (("crash", text), "", ""))

    def test_a_flood_of_requests_does_not_disturb_others(self):
        flood = self.request() * 3000 + result(result="failed", text="flooded")
        noisy = self.backend.new_job(self.courses.says("course/noise", flood), limits={"hard_time": 20})
        task = self.courses.says("course/quiet", SUCCESS)
        self.assertEqual(self.grade(task)["result"], ("success", "done"))
        self.assertEqual(self.backend.wait_done(noisy)["result"], ("failed", "flooded"))


if __name__ == "__main__":
    case.main()
