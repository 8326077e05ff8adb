# ctest: timeout=300
"""Backends and images of every release: what an agent offers, what its containers are told and may
say, and its texts."""

import os

from harness import case, generations, host, images, messages
from harness.backend import Backend
from harness.tasks import FEEDBACK, frame, result

PAYLOAD = os.path.join(case.BUILD_DIR, "tests/runtime/runtime_payload")

# The student program tells what it was called with and whether it has a directory for scripts.
INTERN = b"""#!/bin/sh
echo "$*" > /task/student/told
[ -d /task/student/scripts ] && echo scripts >> /task/student/told
exit 7
"""

# By name: the image's agent_version, and whether it has the command that came with 0.8.
# One has a time of creation with few digits, which upstream's agents up to 0.7 cannot read.
FEW_DIGITS = {"v3-old": "2024-01-02T03:04:05.5Z"}
IMAGES = {"v4": ("4", False), "v3": ("3", True), "v3-old": ("3", False), "v2": ("2", False), "none": (None, False)}
OFFERED = {
    "main": {"v4"},
    "0.9": {"v3", "v3-old"},
    "0.8": {"v3", "v3-old"},
    "0.7": {"v3", "v3-old"},
    "0.6": {"v2"},
    "0.5": set(IMAGES),
}
OWN_IMAGE = {"main": "v4", "0.9": "v3", "0.8": "v3", "0.7": "v3-old", "0.6": "v2", "0.5": "none"}


def order_of(generation):
    return "<" if generations.is_little_endian(generation) else "!"


def start_frame(generation, inputdata, run_cmd=None):
    """What a container of GENERATION reads first."""
    message = {"type": "start", "input": inputdata, "debug": False}
    if not generations.is_old(generation):
        message["envtypes"] = {"docker": True}
    if run_cmd is not None and generation != "0.5":
        message["run_cmd"] = run_cmd
    if not generations.is_old(generation):
        message["run_as_root"] = False
    if generation in ("0.9", "0.8", "0.7"):
        message["shared_kernel"] = True
    return frame(message, order_of(generation))


class Protocols(case.SystemTest):
    def make_store(self):
        store = self.directory + "/store"
        with open(PAYLOAD, "rb") as file:
            files = images.busybox_files() | {"bin/payload": file.read(), "bin/_run_student_intern": INTERN}
        below, above = images.layer(files), images.layer({"bin": None, "bin/ssh_student": b"#!/bin/sh\n"})
        for name, (version, has_command) in IMAGES.items():
            layout = images.Layout(f"{self.directory}/{name}")
            layers = [below, above] if has_command else [below]
            created = FEW_DIGITS.get(name, images.CREATED)
            layout.add(name, layers, images.environment_labels(name, agent_version=version), created)
            done = case.run("image", "load", "--store", store, f"oci:{self.directory}/{name}:{name}")
            self.assertEqual(done.returncode, 0, done.stderr)
        return store

    def start(self, generation, store, *options):
        """An agent of a backend of GENERATION."""
        self.backend.close()
        self.backend = Backend(generation=generation)
        self.addCleanup(self.backend.close)
        tmpdir = f"{self.directory}/tmp-{len(self.agents)}"
        return self.start_agent("--protocol", generation, *options, store=store, tmpdir=tmpdir)

    def each(self, wanted=generations.ALL):
        """Every generation with an agent of its own."""
        store = self.make_store()
        for generation in wanted:
            agent = self.start(generation, store)
            yield generation
            self.assertEqual(agent.stop(), 0)

    def write_config(self, text):
        path = f"{self.directory}/agent-{len(self.agents)}.yaml"
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(path, 0o644)
        return path

    def offered(self):
        return set(self.backend.hellos[-1]["available_environments"]["docker"])

    def says(self, generation, **fields):
        """A task whose container says a result as an image of GENERATION does."""
        name = f"course/says{len(os.listdir(self.courses.directory + '/course'))}"
        return self.courses.says(name, result(order_of(generation), **fields))


class Backends(Protocols):
    def setUp(self):
        super().setUp()
        os.mkdir(self.courses.directory + "/course")

    def test_images_of_the_release_are_offered(self):
        for generation in self.each():
            self.assertEqual(self.offered(), OFFERED[generation], generation)

    def test_jobs_run_and_containers_are_told_what_they_expect(self):
        inputdata = {"@state": "s", "q1": "é", "file": {"filename": "a", "value": b"\x00\xff"}}
        parameters = {"run_cmd": "run it", "network_grading": False, "limits": {"time": 10, "memory": 50}}
        for generation in self.each():
            start = start_frame(generation, inputdata, "run it")
            says = result(order_of(generation), result="success", text="done", grade=77.777)
            run = f"head -c {len(start)} | cmp - expected && cat says"
            task = self.courses.add(f"course/{generation}", run=run, expected=start, says=says)
            done = self.grade(
                task, inputdata=inputdata, environment_parameters=parameters, environment=OWN_IMAGE[generation]
            )
            self.assertEqual((done["result"], done["grade"]), (("success", "done"), 77.78), generation)

    def test_each_image_is_spoken_to_in_its_own_way(self):
        """A backend of 0.5 takes images of all releases."""
        store = self.make_store()
        self.start("0.5", store)
        for generation, image in OWN_IMAGE.items():
            start = start_frame(generation, {"q": "a"})
            says = result(order_of(generation), result="success")
            run = f"head -c {len(start)} | cmp - expected && cat says"
            task = self.courses.add(f"course/{generation}", run=run, expected=start, says=says)
            self.assertEqual(
                self.grade(task, inputdata={"q": "a"}, environment=image)["result"], ("success", ""), generation
            )

    def test_refusals_have_the_words_of_the_release(self):
        for generation in self.each():
            image, inputdata = OWN_IMAGE[generation], {"@state": "before"}
            kept = "before" if generations.has_state(generation) else ""
            silent = self.courses.says(f"course/silent{generation}", b"")
            answers = {
                "unknown error": (self.grade("../course/x", environment=image, inputdata=inputdata)),
                "no environment": self.grade(silent, environment="nope", inputdata=inputdata),
                "no task": self.grade("course/nope", environment=image, inputdata=inputdata),
                "no result": self.grade(silent, environment=image, inputdata=inputdata),
            }
            self.assert_crash(answers["unknown error"], generations.unknown_error(generation))
            self.assertRegex(answers["no environment"]["result"][1], "^This environment is not available")
            self.assertRegex(answers["no task"]["result"][1], "^Task unavailable on agent")
            text = FEEDBACK + generations.no_result(generation)
            self.assertEqual(answers["no result"]["result"], ("crash", text))
            for what, done in answers.items():
                self.assertEqual(done["state"], kept, (generation, what))

    def test_results_are_checked_as_the_release_checks_them(self):
        for generation in self.each():
            image = OWN_IMAGE[generation]
            dotted = self.grade(self.says(generation, result="success", problems={"a.b": ("ok", "")}), environment=image)
            state = self.grade(self.says(generation, result="success", state="new"), environment=image)
            kind = "crash" if generations.is_old(generation) else "success"
            self.assertEqual(dotted["result"][0], kind, generation)
            if generation == "0.5":
                self.assertEqual(state["result"], ("crash", FEEDBACK + "'state'"))
            else:
                self.assertEqual((state["result"][0], state["state"]), ("success", "new"), generation)

    def test_jobs_of_no_course_are_a_thing_of_main(self):
        for generation in self.each():
            done = self.grade(None, environment=OWN_IMAGE[generation])
            if generation == "main":
                self.assertEqual(done["result"], ("crash", FEEDBACK + generations.no_result(generation)))
            else:
                self.assert_crash(done, generations.unknown_error(generation))

    def test_kills_are_answered(self):
        for generation in self.each():
            image, kept = OWN_IMAGE[generation], "s" if generations.has_state(generation) else ""
            task = self.courses.add(f"course/slow{generation}", run="sleep 60")
            job = self.backend.new_job(task, environment=image, inputdata={"@state": "s"})
            self.backend.wait_started(job)
            self.backend.serve(0.3)
            self.backend.kill_job(job, "s")
            self.assert_ended(self.backend.wait_done(job), "killed", kept)
            early = self.backend.new_job(task, environment=image)
            self.backend.kill_job(early)
            self.assertEqual(self.backend.wait_done(early)["result"], ("killed", ""))

    def test_a_broken_job_with_an_id_is_answered(self):
        for generation in self.each():
            self.backend.send_raw(b"\xc1")
            self.backend.send_raw(messages.pack({"@type": "Nonsense", "type": "nonsense"}))
            job = self.backend.new_job("course/x", environment=OWN_IMAGE[generation], invented=1)
            self.assert_crash(self.backend.wait_done(job), generations.unknown_error(generation))
            self.assertEqual(len(self.backend.hellos), 1)

    def test_before_0_7_only_pings_are_signs_of_life(self):
        store = self.make_store()
        backends = {}
        for generation in ("0.6", "0.7"):
            backends[generation] = self.start(generation, store), self.backend
            self.backend = Backend()
            self.addCleanup(self.backend.close)
        for _, backend in backends.values():
            backend.pings = False

        def said_again():
            for _, backend in backends.values():
                backend.send("BackendKillJob", job_id="nobody's", state="")
                backend.serve(0.5)
            return len(backends["0.6"][1].hellos) > 1

        self.assertTrue(host.wait_until(said_again, 25))
        self.assertEqual(len(backends["0.7"][1].hellos), 1)


class Students(Protocols):
    def request(self, generation):
        message = {
            "type": "run_student",
            "environment": None,
            "time_limit": 0,
            "hard_time_limit": 0,
            "memory_limit": 0,
            "share_network": False,
            "socket_id": "s",
        }
        if not generations.is_little_endian(generation):
            message |= {"ssh": False, "run_as_root": False}
        return frame(message, order_of(generation))

    def test_student_containers_are_those_of_their_image(self):
        for generation in self.each():
            told = "dockless docker\n" if generation in ("0.9", "0.8") else "\n"
            if not generations.is_little_endian(generation):
                told += "scripts\n"
            run = "payload run-student /sockets/s.sock; [ $? = 7 ] && cmp student/told told && cat says"
            says = result(order_of(generation), result="success")
            task = self.courses.add(
                f"course/{generation}", run=run, request=self.request(generation), told=told, says=says
            )
            done = self.grade(task, environment=OWN_IMAGE[generation], limits={"time": 10, "hard_time": 20})
            self.assertEqual(done["result"], ("success", ""), generation)


class Overrides(Protocols):
    """The configuration's `environments`."""

    def setUp(self):
        super().setUp()
        os.mkdir(self.courses.directory + "/course")

    def configured(self, text, generation="main"):
        store = self.make_store()
        self.start(generation, store, "--config", self.write_config("environments:\n" + text))

    def test_a_protocol_makes_any_image_acceptable(self):
        self.configured("  v3-old: {protocol: 0.7}\n  none: {protocol: 0.5}\n  v3: {offer: yes}\n")
        self.assertEqual(self.offered(), {"v4", "v3", "v3-old", "none"})
        for generation, image in (("0.7", "v3-old"), ("0.5", "none"), ("0.9", "v3"), ("main", "v4")):
            done = self.grade(self.says(generation, result="success"), environment=image)
            self.assertEqual(done["result"], ("success", ""), image)

    def test_what_labels_say_can_be_changed(self):
        self.configured("  v4: {advertise: no, ports: '22,80'}\n  v3-old: {protocol: main, root: yes}\n")
        v4 = self.backend.hellos[-1]["available_environments"]["docker"]["v4"]
        self.assertEqual((v4["advertised"], v4["ports"]), (False, (22, 80)))
        message = {"type": "start", "input": {}, "debug": False, "envtypes": {"docker": True}, "run_as_root": True}
        start = frame(message)
        run = f"head -c {len(start)} | cmp - expected && cat says"
        task = self.courses.add("course/root", run=run, expected=start, says=result(result="success"))
        self.assertEqual(self.grade(task, environment="v3-old", inputdata={})["result"], ("success", ""))

    def test_an_environment_that_is_not_to_be_offered_is_not_there(self):
        self.configured("  v4: {offer: no}\n")
        self.assertEqual(self.offered(), set())
        done = self.grade(self.says("main", result="success"), environment="v4")
        self.assertRegex(done["result"][1], "^This environment is not available")

    def test_limits_of_an_environment_go_before_those_of_all(self):
        self.configured("  v4: {limits: {hard-time: 1, memory: 64M, archive: 5, frame: 64K}}\nlimits: {hard-time: 9}\n")
        slow = self.courses.add("course/slow", run="sleep 30")
        done = self.grade(slow, environment="v4", limits={"time": 20, "hard_time": 60, "memory": 64})
        self.assert_ended(done, "timeout")
        done = self.grade(slow, environment="v4", limits={"memory": 65})
        self.assert_crash(
            done, "Not enough memory on agent (available: 64MB). Please contact your course administrator."
        )
        fits = self.says("main", result="success", archive="MTIzNDU=")
        self.assertEqual(self.grade(fits, environment="v4", limits={"memory": 64})["archive"], b"12345")
        longer = self.says("main", result="success", text="kept", archive="MTIzNDU2")
        done = self.grade(longer, environment="v4", limits={"memory": 64})
        text = FEEDBACK + "The archive is larger than this agent allows."
        self.assertEqual((done["result"], done["archive"]), (("crash", text), None))
        big = self.says("main", result="success", text="x" * 70000)
        self.assertEqual(self.grade(big, environment="v4", limits={"memory": 64})["result"][0], "crash")

    def test_sighup_reads_them_again(self):
        config = self.write_config("environments: {v4: {offer: no}}\n")
        agent = self.start("main", self.make_store(), "--config", config)
        self.assertEqual(self.offered(), set())
        with open(config, "w", encoding="utf-8") as file:
            file.write("environments: {v4: {advertise: no}}\nfriendly-name: another\n")
        agent.process.send_signal(1)
        self.backend.wait_hello(2)
        self.assertEqual(self.offered(), {"v4"})
        self.assertIs(self.backend.hellos[-1]["available_environments"]["docker"]["v4"]["advertised"], False)


class Labels(case.SystemTest):
    """need_root and need_gpu."""

    def announced(self, **labels):
        store = self.directory + "/store"
        images.make_raw(self.directory + "/raw", **labels)
        done = case.run("image", "load", "--store", store, f"oci:{self.directory}/raw:raw")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.agent = self.start_agent(store=store)
        return set(self.backend.hellos[-1]["available_environments"]["docker"])

    def test_an_image_in_need_of_a_gpu_is_left_out(self):
        self.assertEqual(self.announced(need_gpu=""), set())
        self.assertIn("needs a GPU", self.agent.messages())

    def test_graders_in_need_of_root_run_as_the_containers_root(self):
        self.assertEqual(self.announced(need_root="1"), {"raw"})
        message = {"type": "start", "input": {}, "debug": False, "envtypes": {"docker": True}, "run_as_root": True}
        start = frame(message)
        run = f"head -c {len(start)} | cmp - expected && cat says"
        task = self.courses.add("course/task", run=run, expected=start, says=result(result="success"))
        self.assertEqual(self.grade(task, inputdata={})["result"], ("success", ""))


if __name__ == "__main__":
    case.main()
