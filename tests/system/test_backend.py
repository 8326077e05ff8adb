"""The link to the backend: hello, heartbeat, loss, garbage, leaving."""

import os
import re
import signal
import time

from harness import case, host, images, messages
from harness.backend import Backend
from harness.tasks import SUCCESS


class Link(case.SystemTest):
    def test_hello_lists_the_environments_of_the_store(self):
        self.start_agent("--concurrency", "3")
        hello = self.backend.hellos[0]
        self.assertEqual(hello["friendly_name"], "test agent")
        self.assertEqual(hello["available_job_slots"], 3)
        self.assertEqual(list(hello["available_environments"]), ["docker"])
        raw = hello["available_environments"]["docker"]["raw"]
        self.assertRegex(raw["id"], "^sha256:[0-9a-f]{64}$")
        self.assertEqual((raw["title"], raw["created"]), ("raw", images.CREATED_UNIX))
        self.assertEqual((raw["ports"], raw["advertised"]), ((), True))

    def test_labels_decide_what_is_announced(self):
        store = self.directory + "/store"
        for name, labels in (
            ("hidden", {"advertise": "false"}),
            ("ports", {"ports": "22,8080"}),
            ("old", {"agent_version": "3"}),
        ):
            images.make_raw(f"{self.directory}/{name}", name, **labels)
            self.assertEqual(
                case.run("image", "load", "--store", store, f"oci:{self.directory}/{name}:{name}").returncode, 0
            )
        self.start_agent(store=store)
        environments = self.backend.hellos[0]["available_environments"]["docker"]
        self.assertEqual(sorted(environments), ["hidden", "ports"])
        self.assertIs(environments["hidden"]["advertised"], False)
        self.assertEqual(environments["ports"]["ports"], (22, 8080))

    def test_ping_is_answered_with_pong(self):
        self.start_agent()
        self.backend.pings = False
        pongs = self.backend.pongs
        for _ in range(3):
            self.backend.send("Ping")
        self.backend.wait(lambda: self.backend.pongs == pongs + 3, "three pongs", 5)

    def test_the_agent_is_silent_unless_spoken_to(self):
        self.start_agent()
        self.backend.pings = False
        pongs = self.backend.pongs
        self.backend.serve(2)
        self.assertEqual((self.backend.pongs, len(self.backend.hellos)), (pongs, 1))

    def test_a_backend_that_starts_late_is_found(self):
        address = self.backend.address
        self.backend.close()
        agent = case.Agent(self, self.backend)
        self.agents.append(agent)
        time.sleep(2)
        self.assertIsNone(agent.process.poll(), agent.messages())
        self.backend = Backend(address)
        self.addCleanup(self.backend.close)
        self.backend.wait_hello(seconds=20)
        self.assertEqual(
            self.grade(self.courses.says("course/task", SUCCESS))["result"], ("success", "done")
        )

    def test_an_ipv6_address_serves(self):
        self.backend.close()
        self.backend = Backend("tcp://[::1]:*")
        self.addCleanup(self.backend.close)
        self.start_agent()
        self.assertEqual(
            self.grade(self.courses.says("course/task", SUCCESS))["result"], ("success", "done")
        )

    def test_a_unix_socket_serves_too(self):
        self.backend.close()
        path = self.directory + "/backend.sock"
        self.backend = Backend("ipc://" + path)
        self.addCleanup(self.backend.close)
        os.chmod(path, 0o777)
        self.start_agent()
        self.assertEqual(
            self.grade(self.courses.says("course/task", SUCCESS))["result"], ("success", "done")
        )

    def test_silence_of_the_backend_ends_running_jobs_and_says_hello_again(self):
        self.start_agent()
        job = self.backend.new_job(self.courses.add("course/slow", run="sleep 100"))
        self.backend.wait_started(job)
        self.backend.serve(0.5)
        self.backend.pings = False
        start = time.monotonic()
        self.backend.wait_hello(2, seconds=25)
        self.assertGreater(time.monotonic() - start, 8)
        self.assertTrue(
            host.wait_until(lambda: not [x for x in self.cgroup.left() if " sleep (" in x], 5)
        )
        self.assertEqual(self.backend.jobs[job], "started")  # the backend has written it off
        self.backend.pings = True
        self.assertEqual(
            self.grade(self.courses.says("course/task", SUCCESS))["result"], ("success", "done")
        )

    def test_garbage_from_the_backend_does_not_disturb_jobs(self):
        agent = self.start_agent()
        run = "sleep 1; cat says"
        job = self.backend.new_job(self.courses.add("course/slow", run=run, says=SUCCESS))
        self.backend.wait_started(job)
        for frame in (
            b"",
            b"\xc1",
            b"garbage",
            b"\xdf\xff\xff\xff\xff",
            b"\x91" * 100000,
            messages.pack({}),
            messages.pack([1, 2]),
            messages.pack({"@type": "Nonsense"}),
            messages.pack({"@type": "BackendNewJob"}),
            messages.pack({"@type": "BackendNewJob", "course_id": 7}),
            messages.pack({"@type": "BackendKillJob"}),
            messages.pack({"@type": "BackendKillJob", "job_id": [1, {}], "state": 3}),
            messages.pack({"@type": 1}),
            messages.pack({"type": "ping"}),
            b"\x81\xa5@type\xa4\xff\xfe\xfd\xfc",
        ):
            self.backend.send_raw(frame)
        self.backend.send_raw(messages.pack({"@type": "Ping"}), b"extra", b"frames")
        self.assertEqual(self.backend.wait_done(job)["result"], ("success", "done"))
        self.assertEqual(len(self.backend.hellos), 1)
        self.assertIsNone(agent.process.poll())

    def test_a_flood_of_garbage_does_not_fill_the_log(self):
        number = 5000
        agent = self.start_agent()
        start = time.monotonic()
        for _ in range(number // 500):
            for _ in range(500):
                self.backend.send_raw(b"garbage")
            self.backend.serve(0.01)
        task = self.courses.says("course/task", SUCCESS)
        self.assertEqual(self.grade(task)["result"], ("success", "done"))
        seconds = time.monotonic() - start
        self.assertLess(seconds, 10 * host.time_scale())  # no pause lies between rounds of frames
        lines = agent.messages().splitlines()
        told = [line for line in lines if "message from the backend" in line]
        self.assertLessEqual(len(told), 200 * (int(seconds) + 2))
        self.assertLess(len(told), number / 2)
        # The next second's first line says so.
        for _ in range(100):
            self.backend.send_raw(b"garbage")
            self.backend.serve(0.05)
            if "lines were dropped" in agent.messages():
                break
        self.assertIn("lines were dropped", agent.messages())

    def test_a_broken_job_with_an_id_is_answered(self):
        self.start_agent()
        self.backend.jobs["broken"] = "sent"
        self.backend.send("BackendNewJob", job_id="broken", course_id=7, inputdata={})
        self.assertEqual(self.backend.wait_done("broken")["result"][0], "crash")

    def test_a_second_peer_on_the_socket_is_not_mistaken_for_the_backend(self):
        """The agent binds nothing: there is no port to talk to."""
        agent = self.start_agent()
        inodes = set()
        for fd in os.listdir(f"/proc/{agent.pid}/fd"):
            link = os.readlink(f"/proc/{agent.pid}/fd/{fd}")
            inodes |= set(re.findall(r"^socket:\[(\d+)\]$", link))
        listening = [
            line
            for name in ("tcp", "tcp6")
            for line in host.read(f"/proc/{agent.pid}/net/{name}").splitlines()[1:]
            if line.split()[3] == "0A" and line.split()[9] in inodes
        ]
        self.assertEqual(listening, [])


class Leaving(case.SystemTest):
    def test_sigint_leaves_too(self):
        self.assertEqual(self.start_agent().stop(signal.SIGINT), 0)

    def test_sigterm_without_a_backend_leaves_at_once(self):
        agent = self.start_agent()
        self.backend.close()
        start = time.monotonic()
        self.assertEqual(agent.stop(), 0)
        self.assertLess(time.monotonic() - start, 5 * host.time_scale())
        self.backend = Backend()
        self.addCleanup(self.backend.close)

    def test_a_terminal_closing_does_not_stop_a_service(self):
        agent = self.start_agent()
        agent.process.send_signal(signal.SIGPIPE)
        self.backend.serve(0.5)
        self.assertIsNone(agent.process.poll())


class Privileges(case.SystemTest):
    def test_the_agent_has_no_privilege_and_the_launcher_no_network_thread(self):
        agent = self.start_agent()
        self.assertNotIn("0", host.status_field(agent.pid, "Uid").split())
        self.assertEqual(host.status_field(agent.pid, "Groups"), "")
        for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            self.assertEqual(int(host.status_field(agent.pid, name), 16), 0, name)
        self.assertEqual(host.status_field(agent.pid, "NoNewPrivs"), "1")
        self.assertEqual(host.status_field(agent.launcher, "Threads"), "1")
        self.assertEqual(host.status_field(agent.launcher, "Uid").split()[0], "0")

    def test_tasks_that_only_root_can_read_are_graded(self):
        task = self.courses.says("course/task", SUCCESS)
        os.chmod(self.courses.directory, 0o700)
        self.start_agent()
        self.assertEqual(self.grade(task)["result"], ("success", "done"))


class BadAddress(case.SystemTest):
    def test_an_address_that_is_none_is_one_clear_line(self):
        done = case.run(
            *("agent", "--tasks", self.courses.directory, "--share-store", "--store", case.shared_store()),
            *("--tmpdir", self.directory + "/tmp", "nonsense"),
        )
        self.assert_last_line(done, "nonsense")

    def test_a_wrong_scheme_is_one_clear_line(self):
        done = case.run(
            *("agent", "--tasks", self.courses.directory, "--share-store", "--store", case.shared_store()),
            *("--tmpdir", self.directory + "/tmp", "http://localhost:1"),
        )
        self.assert_last_line(done, "http://localhost:1")


if __name__ == "__main__":
    case.main()
