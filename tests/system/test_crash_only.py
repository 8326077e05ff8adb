"""kill -9 at any instant: containers die, and the next start sweeps what a killed launcher left."""

import os
import random
import signal
import time

from harness import case, host
from harness.tasks import SUCCESS

ROUNDS = 10 if host.time_scale() < 10 else 4  # fewer in a virtual machine


class CrashOnly(case.SystemTest):
    def setUp(self):
        super().setUp()
        self.random = random.Random(os.environ.get("DOCKLESS_TEST_SEED", "1"))
        self.quick = self.courses.says("course/quick", SUCCESS)
        run = "(while :; do :; done) & setsid sleep 600 & sleep 600"
        self.slow = self.courses.add("course/slow", run=run)

    def agent_at_work(self):
        """An agent with jobs at every stage, at a random instant."""
        agent = self.start_agent()
        for _ in range(3):
            self.backend.new_job(self.slow)
        for _ in range(5):
            self.backend.new_job(self.quick)
        end = time.monotonic() + self.random.uniform(0, 0.25) * min(host.time_scale(), 3)
        while time.monotonic() < end:
            self.backend.step(end - time.monotonic())
        return agent

    def next_life(self):
        """What comes after a crash works, and sweeps; tearDown looks for what is left."""
        agent = self.start_agent()
        self.assertEqual(self.grade(self.quick)["result"], ("success", "done"))
        self.assertEqual(agent.stop(), 0)

    def test_a_killed_agent_takes_everything_along(self):
        for _ in range(ROUNDS):
            agent = self.agent_at_work()
            agent.kill()
            self.assert_nothing_runs()
            # The launcher lived on for a moment and cleaned up by itself.
            self.assertEqual(self.cgroup.left(), [])
        self.next_life()

    def test_a_killed_launcher_takes_everything_along(self):
        for _ in range(ROUNDS):
            agent = self.agent_at_work()
            os.kill(agent.launcher, signal.SIGKILL)
            self.assertNotEqual(agent.wait(), 0)
            self.assertIn("the launcher is gone", agent.messages())
            self.assert_nothing_runs()
        self.next_life()

    def test_running_jobs_are_answered_when_the_launcher_is_killed(self):
        agent = self.start_agent()
        job = self.backend.new_job(self.slow)
        self.backend.wait_started(job)
        self.backend.serve(0.3)
        os.kill(agent.launcher, signal.SIGKILL)
        self.assertEqual(self.backend.wait_done(job, 10)["result"][0], "crash")
        self.assertNotEqual(agent.wait(), 0)
        self.assert_nothing_runs()
        self.next_life()

    def test_both_killed_at_once_are_swept_by_the_next_start(self):
        for _ in range(ROUNDS // 2):
            agent = self.agent_at_work()
            os.kill(agent.launcher, signal.SIGKILL)
            agent.kill()
            self.assert_nothing_runs()
        self.next_life()

    def test_a_running_agent_is_not_swept_by_another_start(self):
        first = self.start_agent()
        job = self.backend.new_job(self.slow, limits={"time": 600, "hard_time": 600})
        self.backend.wait_started(job)
        other = case.Backend()
        self.addCleanup(other.close)
        second = case.Agent(self, other, tmpdir=self.directory + "/second-tmp")
        self.agents.append(second)
        # The first agent's backend is heard all the time.
        self.backend.wait(lambda: other.serve(0.1) or other.hellos, "hello of the second")
        second.process.terminate()
        self.backend.wait(lambda: second.process.poll() is not None, "end of the second")
        self.assertEqual(second.process.returncode, 0)
        self.assertIsNone(first.process.poll())
        self.backend.kill_job(job)
        self.assertEqual(self.backend.wait_done(job)["result"], ("killed", ""))


if __name__ == "__main__":
    case.main()
