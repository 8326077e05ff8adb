"""Logins by ssh from the world: into grading containers that are debugged, into student containers;
and all the ways in which there is none."""

import os
import shutil
import subprocess

from harness import case, host, world
from harness.tasks import SUCCESS, frame
from test_network import NETWORK, NetworkTest

BASH = "#!/bin/bash\n"
NOT_ALLOWED = (
    "ssh for student requires to allow ssh and internet access in the task environment configuration tab!"
)
FOREIGN = "Trying to connect with ssh to a non-children student container !"
NO_PORTS = "No ports are available right now. Please retry later."
NO_HOST = (
    "This agent does not know the address at which it can be reached by ssh. Please contact your "
    "course administrator."
)
SSH_TYPE = {"environment_type": "docker-ssh", "environment_parameters": NETWORK}


def run_student(**changes):
    fields = {
        "type": "run_student",
        "environment": None,
        "time_limit": 0,
        "hard_time_limit": 0,
        "memory_limit": 0,
        "share_network": False,
        "socket_id": "x",
        "ssh": False,
        "run_as_root": False,
    }
    return frame({**fields, **changes})


def ssh_debug(user="worker", key="secret"):
    return frame({"type": "ssh_debug", "ssh_user": user, "ssh_key": key})


class SSHTest(NetworkTest):
    def wait_offer(self, job):
        self.backend.wait(lambda: job in self.backend.offers, "AgentJobSSHDebug")
        return self.backend.offers[job]

    def log_in(self, offer, typed):
        """What a login shows that gets TYPED."""
        askpass = self.directory + "/askpass"
        with open(askpass, "w", encoding="utf-8") as file:
            file.write(f"#!/bin/sh\necho '{offer['password']}'\n")
        os.chmod(askpass, 0o700)
        words = ["ssh", "-tt", "-F", "none", "-p", str(offer["port"])]
        for option in (
            "StrictHostKeyChecking=no",
            "UserKnownHostsFile=/dev/null",
            "ConnectionAttempts=20",
            "PubkeyAuthentication=no",
            "NumberOfPasswordPrompts=1",
        ):
            words += ["-o", option]
        client = subprocess.Popen(
            [*words, f"{offer['user']}@{offer['host']}"],
            preexec_fn=self.world.enter,
            start_new_session=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={"SSH_ASKPASS": askpass, "SSH_ASKPASS_REQUIRE": "force", "TERM": "dumb", "HOME": self.directory},
        )
        self.helpers = (*self.helpers, client.pid)
        # The pings must go on meanwhile.
        client.stdin.write(typed)
        client.stdin.flush()
        self.backend.wait(lambda: client.poll() is not None, "end of the login", 60)
        return client.stdout.read()

    def debug(self, task="course/debug", **fields):
        fields = {"environment": "default", "debug": "ssh", **fields}
        return self.backend.new_job(task, **fields)


class Debug(SSHTest):
    def setUp(self):
        super().setUp()
        if not shutil.which("ssh"):
            self.skipTest("there is no ssh client")

    def test_who_debugs_logs_in_from_the_world_and_gives_the_feedback(self):
        self.need_default_image()
        self.start_agent("--debug-ports", "2200-2201")
        job = self.debug(self.courses.add("course/debug", run=BASH))
        offer = self.wait_offer(job)
        self.assertEqual((offer["host"], offer["user"]), (world.HOST4, "worker"))
        self.assertIn(offer["port"], (2200, 2201))
        out = self.log_in(offer, 'feedback-result success\nfeedback-msg -m "$(id -un) in $PWD"\nexit\n')
        done = self.backend.wait_done(job)
        self.assertEqual(done["result"], ("success", "worker in /task"), out)
        self.assertTrue(world.port_is_free(offer["port"]))

    def test_a_debugged_job_reaches_no_more_of_the_host_than_others(self):
        self.need_default_image()
        self.start_agent("--debug-ports", "2200-2200")
        job = self.debug(self.courses.add("course/debug", run=BASH))
        typed = (
            f"(exec 3<>/dev/tcp/{world.HOST4}/{world.PORT}) 2>/dev/null || feedback-result failed\nexit\n"
        )
        out = self.log_in(self.wait_offer(job), typed)
        self.assertEqual(self.backend.wait_done(job)["result"][0], "failed", out)

    def test_the_host_that_is_told_can_be_configured(self):
        self.start_agent("--debug-host", "grader.example.org", "--debug-ports", "2200-2200")
        task = self.courses.add("course/debug", run="cat /task/says; sleep 60\n", says=ssh_debug("u", "p"))
        job = self.debug(task, environment="raw")
        offer = self.wait_offer(job)
        expected = {"host": "grader.example.org", "port": 2200, "user": "u", "password": "p", "job_id": job}
        self.assertEqual({key: offer[key] for key in expected}, expected)
        self.backend.kill_job(job)
        self.assertEqual(self.backend.wait_done(job)["result"][0], "killed")
        self.assertTrue(world.port_is_free(2200))

    def test_only_the_first_offer_is_passed_on(self):
        self.start_agent("--debug-ports", "2200-2200")
        says = ssh_debug("first") + ssh_debug("second") + SUCCESS
        job = self.debug(self.courses.says("course/debug", says), environment="raw")
        self.assertEqual(self.backend.wait_done(job)["result"], ("success", "done"))
        self.assertEqual(self.backend.offers[job]["user"], "first")

    def test_offers_that_nobody_asked_for_are_not_passed_on(self):
        self.start_agent()
        says = ssh_debug() + SUCCESS
        self.assertEqual(self.grade(self.courses.says("course/a", says))["result"], ("success", "done"))
        long = ssh_debug(key="x" * 5000) + SUCCESS
        job = self.debug(self.courses.says("course/b", long), environment="raw")
        self.assertEqual(self.backend.wait_done(job)["result"], ("success", "done"))
        self.assertEqual(self.backend.offers, {})

    def test_more_debuggers_than_ports_are_refused(self):
        self.start_agent("--debug-ports", "2200-2200")
        task = self.courses.add("course/debug", run="sleep 60\n")
        first = self.debug(task, environment="raw")
        self.backend.wait_started(first)
        self.assert_crash(self.backend.wait_done(self.debug(task, environment="raw")), NO_PORTS)
        self.backend.kill_job(first)
        self.backend.wait_done(first)


class Students(SSHTest):
    def setUp(self):
        super().setUp()
        if not shutil.which("ssh"):
            self.skipTest("there is no ssh client")

    def test_a_student_logs_in_to_a_container_of_their_own(self):
        self.need_default_image()
        self.start_agent("--ssh", "--debug-ports", "2200-2200")
        script = (
            "echo secret > /task/secret\n"
            "ssh_student --setup-script 'touch student/made' --teardown-script 'touch student/torn'\n"
            'feedback-result success; feedback-custom rc $?; feedback-custom files "$(ls student | tr "\\n" " ")"\n'
            'feedback-custom typed "$(cat student/typed)"\n'
        )
        task = self.courses.add("course/ssh", run=BASH + script)
        job = self.backend.new_job(task, environment="default", **SSH_TYPE)
        offer = self.wait_offer(job)
        self.assertEqual((offer["host"], offer["port"], offer["user"]), (world.HOST4, 2200, "worker"))
        out = self.log_in(offer, "{ id -un; cat /task/secret || echo none; } > student/typed 2>&1\nexit\n")
        done = self.backend.wait_done(job)
        self.assertEqual(done["result"][0], "success", out)
        self.assertEqual(done["custom"]["files"], "made scripts torn typed ")
        self.assertRegex(done["custom"]["typed"], r"(?s)^worker\n.*none")
        self.assertTrue(world.port_is_free(2200))

    def test_students_are_refused_without_each_of_the_three_permissions(self):
        task = self.courses.add("course/ssh", run="cat /task/says; sleep 60\n", says=run_student(ssh=True))
        self.start_agent("--ssh")
        without_network = {**NETWORK, "network_grading": False}
        for fields in (
            {"environment_type": "docker", "environment_parameters": NETWORK},
            {"environment_type": "docker-ssh", "environment_parameters": without_network},
        ):
            done = self.grade(task, **fields)
            self.assertEqual((done["result"], done["stdout"]), (("crash", NOT_ALLOWED), ""))
        self.assertEqual(self.backend.offers, {})

    def test_without_the_option_there_is_no_second_type(self):
        self.start_agent()
        self.assertEqual(set(self.backend.hellos[-1]["available_environments"]), {"docker"})
        text = (
            "This environment is not available in this agent. Please contact your course administrator."
        )
        self.assert_crash(self.grade(self.courses.says("course/a", SUCCESS), **SSH_TYPE), text)

    def test_with_the_option_all_is_offered_twice_and_named_in_the_start(self):
        self.start_agent("--ssh", "--environment-type", "box", "--ssh-environment-type", "box-ssh")
        found = self.backend.hellos[-1]["available_environments"]
        self.assertEqual(found["box"], found["box-ssh"])
        self.assertIn("raw", found["box"])
        start = frame(
            {
                "type": "start",
                "input": {},
                "debug": False,
                "envtypes": {"box": True, "box-ssh": True},
                "run_as_root": False,
            }
        )
        task = self.courses.add(
            "course/seen", run=f"head -c {len(start)} | cmp - expected && cat says", expected=start, says=SUCCESS
        )
        for kind in ("box", "box-ssh"):
            done = self.grade(task, environment_type=kind, inputdata={})
            self.assertEqual(done["result"], ("success", "done"), kind)

    def test_a_foreign_container_ends_the_job(self):
        self.start_agent("--ssh")
        says = frame({"type": "ssh_student", "ssh_user": "u", "ssh_key": "k", "container_id": "0" * 64})
        task = self.courses.add("course/ssh", run="cat /task/says; sleep 60\n", says=says)
        done = self.grade(task, **SSH_TYPE)
        self.assertEqual((done["result"], done["stdout"]), (("crash", FOREIGN), ""))

    def test_without_a_port_run_student_gets_254(self):
        self.need_default_image()
        self.start_agent("--ssh", "--debug-ports", "2200-2200")
        with world.occupy(2200):
            script = "ssh_student; feedback-custom rc $?; feedback-result success\n"
            task = self.courses.add("course/ssh", run=BASH + script)
            done = self.grade(task, environment="default", **SSH_TYPE)
        self.assertEqual((done["result"][0], done["custom"]), ("success", {"rc": 254}))

    def test_ports_of_students_come_back_with_a_job_that_is_killed(self):
        self.need_default_image()
        self.start_agent("--ssh", "--debug-ports", "2200-2200")
        task = self.courses.add("course/ssh", run=BASH + "ssh_student\n")
        for _ in range(3):
            job = self.backend.new_job(task, environment="default", **SSH_TYPE)
            self.assertEqual(self.wait_offer(job)["port"], 2200)
            self.backend.kill_job(job)
            self.assertEqual(self.backend.wait_done(job)["result"][0], "killed")
            self.assertTrue(host.wait_until(lambda: world.port_is_free(2200), 10))


class NoWayOut(SSHTest):
    default_route = False

    def test_without_an_address_ssh_is_refused_and_the_rest_works(self):
        agent = self.start_agent("--ssh")
        task = self.courses.says("course/a", SUCCESS)
        self.assert_crash(self.backend.wait_done(self.debug(task, environment="raw")), NO_HOST)
        asks = self.courses.add("course/ssh", run="cat /task/says; sleep 60\n", says=run_student(ssh=True))
        self.assertEqual(self.grade(asks, **SSH_TYPE)["result"], ("crash", NO_HOST))
        self.assertEqual(self.grade(task)["result"], ("success", "done"))
        self.assertIn("nobody can log in by ssh", agent.messages())


if __name__ == "__main__":
    case.main()
