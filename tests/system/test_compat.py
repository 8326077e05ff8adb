"""What a grader finds around it, and how its task and environment are chosen: protocol of
generation main where no other file shows it."""

import os
import resource
import shutil

from harness import case, images, messages
from harness.tasks import FEEDBACK, SUCCESS, result

SHELL = "#!/bin/bash\n"
UNKNOWN_ERROR = "An unknown error occurred in the agent. Please contact your course administrator."
# Says VALUE as the custom value KEY: tell KEY VALUE
TELL = 'tell() { feedback-custom "$1" "$2"; }\nfeedback-result success\n'


class Compat(case.SystemTest):
    def setUp(self):
        super().setUp()
        self.need_default_image()
        self.agent = self.start_agent()

    def custom(self, text, task=None, **fields):
        """What the run script TEXT tells of the container of the image `default`."""
        task = self.courses.add(task or "course/task", run=SHELL + TELL + text)
        done = self.grade(task, environment="default", **fields)
        self.assertEqual(done["result"], ("success", ""))
        return done["custom"]

    def file(self, name, content="", mode=0o644):
        path = os.path.join(self.courses.directory, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="ascii") as file:
            file.write(content)
        os.chmod(path, mode)
        return path


class Container(Compat):
    def test_first_process_is_root_of_groups_0_and_the_worker_is_in_both(self):
        task = self.courses.add("course/raw", run='[ "$(id -u) $(id -G)" = "0 0" ] && cat says', says=SUCCESS)
        self.assertEqual(self.grade(task)["result"], ("success", "done"))
        self.assertEqual(self.custom('tell who "$(id -u) $(id -g) $(id -G)"\n'), {"who": "4242 4242 4242 0"})

    def test_the_hostname_is_the_beginning_of_an_id(self):
        found = self.custom('tell name "x$(hostname)"\ntell env "x$HOSTNAME"\n')
        self.assertRegex(found["name"], "^x[0-9a-f]{12}$")
        self.assertEqual(found["env"], found["name"])

    def test_the_environment_says_that_there_is_no_debugger(self):
        self.assertEqual(self.custom('tell said "$DEBUGGER $LANG"\n'), {"said": "False C.UTF-8"})

    def test_there_is_no_network_but_loopback(self):
        found = self.custom('tell links "$(ls /sys/class/net)"\ntell routes "$(tail -n +2 /proc/net/route)"\n')
        self.assertEqual(found, {"links": "lo", "routes": ""})

    def test_any_port_may_be_bound_and_pings_sent(self):
        found = self.custom(
            'tell port "x$(cat /proc/sys/net/ipv4/ip_unprivileged_port_start)"\n'
            'tell ping "$(cat /proc/sys/net/ipv4/ping_group_range | tr "\\t" " ")"\n'
        )
        self.assertEqual(found, {"port": "x0", "ping": "0 65535"})

    def test_open_files_are_the_agents_share_of_a_slot(self):
        share = resource.getrlimit(resource.RLIMIT_NOFILE)[1] // 8
        self.assertEqual(self.custom('tell said "$(ulimit -Sn) $(ulimit -Hn)"\n'), {"said": f"{share} {share}"})

    def test_there_is_no_limit_below_1000_processes(self):
        found = self.custom(
            "for i in {1..400}; do sleep 60 & done 2>/dev/null; tell n $(jobs -r | wc -l)\nkill $(jobs -p)\n",
            limits={"memory": 240, "time": 60},
        )
        self.assertEqual(found, {"n": 400})


class Files(Compat):
    def test_modes_and_times_of_the_task_are_kept(self):
        path = self.file("course/task/tool", "x", 0o750)
        os.utime(path, (1000000000, 1000000000))
        self.file("course/task/says", "")
        with open(self.courses.directory + "/course/task/says", "wb") as file:
            file.write(SUCCESS)
        self.file("course/task/run", '[ "$(stat -c "%a %Y" tool)" = "750 1000000000" ] && cat says', 0o755)
        self.assertEqual(self.grade("course/task")["result"], ("success", "done"))

    def add_to(self, task, text, **fields):
        """Like custom(), where the directory is there already."""
        self.file(task + "/run", SHELL + TELL + text, 0o755)
        done = self.grade(task, environment="default", **fields)
        self.assertEqual(done["result"], ("success", ""))
        return done["custom"]

    def test_links_to_files_stay_links_and_those_to_directories_are_followed(self):
        self.file("course/task/real/file", "inside")
        base = self.courses.directory + "/course/task"
        os.symlink("real/file", base + "/tofile")
        os.symlink("real", base + "/todir")
        found = self.add_to(
            "course/task", 'tell said "$(readlink /task/tofile) $(cat /task/tofile /task/todir/file)"\n'
            '[ -L /task/todir ] || tell kind directory\n'
        )
        self.assertEqual(found, {"said": "real/file insideinside", "kind": "directory"})

    def test_links_out_of_the_courses_are_not_followed(self):
        secret = self.directory + "/secret"
        os.mkdir(secret)
        with open(secret + "/file", "w", encoding="ascii") as file:
            file.write("secret")
        self.file("course/task/x")
        os.symlink("../../../secret", self.courses.directory + "/course/task/out")
        os.symlink(secret, self.courses.directory + "/course/task/absolute")
        found = self.add_to("course/task", 'tell said "x$(cat /task/out/file /task/absolute/file 2>/dev/null)"\n')
        self.assertEqual(found, {"said": "x"})

    def test_links_that_lead_nowhere_and_fifos_are_no_fault(self):
        self.file("course/task/x")
        os.symlink("nowhere", self.courses.directory + "/course/task/dangling")
        os.mkfifo(self.courses.directory + "/course/task/fifo")
        found = self.add_to("course/task", 'tell said "$(readlink /task/dangling)"\n[ -p /task/fifo ] && tell fifo yes\n')
        self.assertEqual(found, {"said": "nowhere", "fifo": "yes"})

    def test_a_directory_for_students_is_made(self):
        run = "[ $(stat -c %a student) = 777 ] && [ $(stat -c %a .) = 777 ] && cat says"
        task = self.courses.add("course/raw", run=run, says=SUCCESS)
        self.assertEqual(self.grade(task)["result"], ("success", "done"))

    def test_common_files_of_the_course_can_be_read_only(self):
        self.file("course/$common/file", "common")
        found = self.custom(
            'tell said "$(cat /course/common/file)"\ntell student "x$(ls -A /course/common/student)"\n'
            "touch /course/common/no 2>/dev/null || tell wrote no\n"
        )
        self.assertEqual(found, {"said": "common", "student": "x", "wrote": "no"})

    def test_without_common_files_there_is_an_empty_directory(self):
        run = '[ "$(ls -A /course/common)" = student ] && [ -z "$(ls -A /course/common/student)" ] && cat says'
        task = self.courses.add("course/raw", run=run, says=SUCCESS)
        self.assertEqual(self.grade(task)["result"], ("success", "done"))

    def test_a_course_id_may_have_several_parts(self):
        self.courses.says("a/b/task", SUCCESS)
        done = self.grade("a/b", course_id="a/b", task_id="task")
        self.assertEqual(done["result"], ("success", "done"))

    def test_what_a_link_leads_to_is_in_the_courses(self):
        """A task may be a link to another one's directory, not to one elsewhere."""
        os.mkdir(self.directory + "/elsewhere")
        self.courses.says("course/task", SUCCESS)
        os.symlink(self.directory + "/elsewhere", self.courses.directory + "/course/out")
        os.symlink("task", self.courses.directory + "/course/alias")
        self.assertEqual(self.grade("course/out")["result"][0], "crash")
        self.assertEqual(self.grade("course/alias")["result"], ("success", "done"))


class Jobs(Compat):
    def raw(self, *parts, **fields):
        return self.grade(self.courses.says("course/raw", *parts), **fields)

    def test_fields_that_nobody_knows_are_answered(self):
        done = self.raw(SUCCESS, invented=1)
        self.assert_crash(done, UNKNOWN_ERROR)

    def test_a_kill_without_state_is_understood(self):
        task = self.courses.add("course/slow", run="sleep 30")
        job = self.backend.new_job(task, inputdata={"@state": "of the job"})
        self.backend.wait_started(job)
        self.backend.serve(0.5)
        self.backend.send("BackendKillJob", job_id=job)
        self.assert_ended(self.backend.wait_done(job, 5), "killed", "of the job")

    def test_a_refused_result_hands_the_state_of_the_submission_back(self):
        done = self.raw(result(result="success", state="new", nonsense=1), inputdata={"@state": "old"})
        self.assertEqual((done["result"][0], done["state"]), ("crash", "old"))

    def test_a_run_command_that_is_no_text_is_refused(self):
        parameters = {"run_cmd": 7, "network_grading": False, "limits": {}}
        done = self.raw(SUCCESS, environment_parameters=parameters)
        self.assert_crash(done, "The agent is unable to parse the parameters")

    def test_values_of_custom_may_be_nested_only_so_deep(self):
        # What is deeper neither the backend nor the database of the frontend can take.
        for depth, kind in ((90, "success"), (100, "crash")):
            body = messages.pack({"type": "result", "result": {"result": "success", "custom": {"x": None}}})
            body = body[:-1] + b"\x91" * depth + b"\xc0"
            task = self.courses.says(f"course/depth{depth}", len(body).to_bytes(4, "big") + body)
            self.assertEqual(self.grade(task)["result"][0], kind)

    def test_a_map_as_the_value_of_a_problem_is_refused(self):
        text = FEEDBACK + "Feedback file is badly formatted."
        done = self.raw(result(result="success", problems={"q1": {}}))
        self.assertEqual(done["result"], ("crash", text))


class Environments(case.SystemTest):
    def load(self, store, reference, name, created=images.CREATED, cmd="/init", **labels):
        """Loads the image of REFERENCE that is environment NAME."""
        layout = images.Layout(f"{self.directory}/{reference}")
        layers = [images.layer(images.busybox_files())]
        layout.add(reference, layers, images.environment_labels(name, **labels), created, Cmd=[cmd])
        done = case.run("image", "load", "--store", store, f"oci:{self.directory}/{reference}:{reference}")
        self.assertEqual(done.returncode, 0, done.stderr)

    def announced(self):
        return self.backend.hellos[-1]["available_environments"]["docker"]

    def test_of_two_images_with_one_name_the_newest_is_used(self):
        store = self.directory + "/store"
        self.load(store, "a-newest", "env", "2024-06-01T00:00:00Z")
        self.load(store, "b-oldest", "env", "2023-01-01T00:00:00Z")
        self.load(store, "c-middle", "env", "2024-01-01T00:00:00Z")
        self.start_agent(store=store)
        self.assertEqual(list(self.announced()), ["env"])
        self.assertEqual(self.announced()["env"]["created"], 1717200000)
        task = self.courses.says("course/task", SUCCESS)
        self.assertEqual(self.grade(task, environment="env")["result"], ("success", "done"))

    def test_labels_that_are_none_leave_the_image_out(self):
        store = self.directory + "/store"
        self.load(store, "good", "good")
        self.load(store, "ports", "ports", ports="22,x")
        self.load(store, "port", "port", ports="0")
        self.load(store, "version", "version", agent_version="04")
        self.start_agent(store=store)
        self.assertEqual(list(self.announced()), ["good"])

    def test_a_store_without_environments_announces_an_empty_type(self):
        store = self.directory + "/store"
        self.load(store, "old", "old", agent_version="3")
        self.start_agent(store=store)
        self.assertEqual(self.backend.hellos[0]["available_environments"], {"docker": {}})

    def test_a_command_that_is_not_there_cannot_be_started(self):
        store = self.directory + "/store"
        self.load(store, "broken", "broken", cmd="/no/such/program")
        self.start_agent(store=store)
        task = self.courses.says("course/task", SUCCESS)
        done = self.grade(task, environment="broken", inputdata={"@state": "kept"})
        self.assert_crash(done, "Cannot start container")
        self.assertEqual(done["state"], "kept")

    def test_a_layer_that_is_gone_leaves_nothing_to_create(self):
        store = self.directory + "/store"
        self.load(store, "broken", "broken")
        self.start_agent(store=store)
        shutil.rmtree(store + "/layers")
        task = self.courses.says("course/task", SUCCESS)
        self.assert_crash(self.grade(task, environment="broken"), "Cannot create container.")


if __name__ == "__main__":
    case.main()
