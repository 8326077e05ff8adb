"""SIGTERM and the drain time, SIGHUP, and a store that changes below a running agent."""

import os
import signal
import time

from harness import case, host, images
from harness.backend import Backend
from harness.tasks import SUCCESS, result


class Draining(case.SystemTest):
    def slow_job(self, seconds):
        job = self.backend.new_job(
            self.courses.add(f"course/slow{seconds}", run=f"sleep {seconds}; cat /task/says", says=SUCCESS)
        )
        self.backend.wait_started(job)
        self.backend.serve(0.5)
        return job

    def test_sigterm_lets_running_jobs_end(self):
        agent = self.start_agent()
        job = self.slow_job(2)
        agent.process.send_signal(signal.SIGTERM)
        self.assertEqual(self.backend.wait_done(job)["result"], ("success", "done"))
        self.assertEqual(agent.wait(), 0)

    def test_a_job_that_arrives_while_draining_is_answered_at_once(self):
        agent = self.start_agent()
        job = self.slow_job(100)
        agent.process.send_signal(signal.SIGTERM)
        self.backend.serve(0.3)
        late = self.courses.says("course/late", SUCCESS)
        self.assert_crash(self.grade(late), "Agent restarted")
        self.assertNotIn(job, self.backend.done)
        self.backend.kill_job(job)
        self.assert_ended(self.backend.wait_done(job), "killed")
        self.assertEqual(agent.wait(), 0)

    def test_jobs_that_outlast_the_drain_time_are_ended_and_answered(self):
        agent = self.start_agent("--drain-time", "1")
        job = self.slow_job(100)
        start = time.monotonic()
        agent.process.send_signal(signal.SIGTERM)
        self.assert_crash(self.backend.wait_done(job), "Agent restarted")
        self.assertGreaterEqual(time.monotonic() - start, 1)
        self.assertEqual(agent.wait(), 0)

    def test_a_second_signal_does_not_wait(self):
        for second in (signal.SIGTERM, signal.SIGINT):
            with self.subTest(second=second):
                agent = self.start_agent(tmpdir=f"{self.directory}/tmp-{second}")
                job = self.slow_job(100 + second)
                agent.process.send_signal(signal.SIGTERM)
                self.backend.serve(0.5)
                self.assertIsNone(agent.process.poll())
                agent.process.send_signal(second)
                self.assert_crash(self.backend.wait_done(job), "Agent restarted")
                self.assertEqual(agent.wait(), 0)

    def test_the_last_word_withdraws_the_slots(self):
        agent = self.start_agent()
        agent.process.send_signal(signal.SIGTERM)
        self.backend.wait(lambda: self.backend.goodbyes, "goodbye")
        hello = self.backend.goodbyes[0]
        self.assertEqual(hello["available_job_slots"], 0)
        self.assertEqual(hello["available_environments"], {"docker": {}})
        self.assertEqual(agent.wait(), 0)


class Reloading(case.SystemTest):
    def own_store(self):
        store = self.directory + "/store"
        self.add_image(store, "raw")
        return store

    def add_image(self, store, name):
        images.make_raw(f"{self.directory}/{name}", name=name)
        done = case.run("image", "load", "--store", store, f"oci:{self.directory}/{name}:{name}")
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def environments(self):
        return set(self.backend.hellos[-1]["available_environments"]["docker"])

    def test_a_new_image_is_announced_and_used(self):
        store = self.own_store()
        self.start_agent(store=store)
        self.assertEqual(self.environments(), {"raw"})
        self.add_image(store, "second")
        self.backend.wait_hello(2)
        self.assertEqual(self.environments(), {"raw", "second"})
        task = self.courses.says("course/task", SUCCESS)
        self.assertEqual(self.grade(task, environment="second")["result"], ("success", "done"))

    def test_a_new_image_does_not_disturb_a_running_job(self):
        store = self.own_store()
        self.start_agent(store=store)
        slow = self.courses.add("course/slow", run="sleep 900")
        job = self.backend.new_job(slow, limits={"hard_time": 900})
        self.backend.wait_started(job)
        self.add_image(store, "second")
        task = self.courses.says("course/task", SUCCESS)
        self.backend.serve(0.5)
        self.assertEqual(len(self.backend.hellos), 1)
        self.assertEqual(self.grade(task, environment="second")["result"], ("success", "done"))
        self.assertEqual(len(self.backend.hellos), 1)
        self.backend.kill_job(job)
        self.assert_ended(self.backend.wait_done(job), "killed")
        self.backend.wait_hello(2)
        self.assertEqual(self.environments(), {"raw", "second"})

    def test_the_same_image_again_is_no_news(self):
        store = self.own_store()
        self.start_agent(store=store)
        done = case.run("image", "load", "--store", store, f"oci:{self.directory}/raw:raw")
        self.assertEqual(done.returncode, 0)
        self.backend.serve(1)
        self.assertEqual(len(self.backend.hellos), 1)

    def write_config(self, text):
        path = self.directory + "/agent.yaml"
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(path, 0o644)  # the agent is nobody in particular when it reads it again
        return path

    def test_sighup_reads_the_limits_again(self):
        config = self.write_config("limits:\n  frame: 64K\n")
        agent = self.start_agent("--config", config)
        big = self.courses.says("course/big", result(result="success", text="x" * 100000))
        self.assertEqual(self.grade(big)["result"][0], "crash")
        self.write_config("limits:\n  frame: 64M\n")
        agent.process.send_signal(signal.SIGHUP)
        self.backend.serve(0.5 * min(host.time_scale(), 6))
        self.assertEqual(self.grade(big)["result"], ("success", "x" * 100000))

    def test_sighup_with_a_faulty_file_changes_nothing(self):
        config = self.write_config("limits:\n  frame: 64K\n")
        agent = self.start_agent("--config", config)
        self.write_config("limits:\n  frame: 64M\n  nonsense: 1\n")
        agent.process.send_signal(signal.SIGHUP)
        self.backend.serve(0.5 * min(host.time_scale(), 6))
        self.assertIn(f'{config}:3:3: unknown key "nonsense"', agent.messages())
        self.assertIn("the configuration stays as it is", agent.messages())
        big = self.courses.says("course/big", result(result="success", text="x" * 100000))
        self.assertEqual(self.grade(big)["result"][0], "crash")

    def test_check_config_tells_the_place_of_a_fault(self):
        config = self.write_config("concurrency: many\n")
        words = ("agent", "tcp://127.0.0.1:1", "--tasks", "/tmp", "--check-config", "--config", config)
        self.assert_one_line(case.run(*words), f"{config}:1:14: \"concurrency\" must be a whole number")
        self.write_config("concurrency: 3\n")
        done = case.run(*words)
        self.assertEqual((done.returncode, done.stdout), (0, "The configuration is good.\n"))


class Sockets(case.SystemTest):
    def test_an_ipc_socket_that_the_agent_may_not_write_to_is_named(self):
        path = self.directory + "/backend.sock"
        backend = Backend(f"ipc://{path}")
        self.addCleanup(backend.close)
        os.chmod(path, 0o600)
        done = case.run(
            "agent", f"ipc://{path}", "--tasks", self.courses.directory, "--share-store", "--store", case.shared_store(),
            "--tmpdir", self.directory + "/tmp",
        )
        self.assert_last_line(done, path, "user 524272", "may not write")

    def test_an_ipc_socket_that_it_may_write_to_serves(self):
        path = self.directory + "/backend.sock"
        self.backend.close()
        self.backend = Backend(f"ipc://{path}")
        self.addCleanup(self.backend.close)
        os.chmod(path, 0o777)
        self.start_agent()
        self.assertEqual(self.grade(self.courses.says("course/task", SUCCESS))["result"], ("success", "done"))


if __name__ == "__main__":
    case.main()
