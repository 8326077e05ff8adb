"""BackendKillJob at every moment of a job's life."""

import time

from harness import case, host
from harness.tasks import SUCCESS


class Kill(case.SystemTest):
    def setUp(self):
        super().setUp()
        self.start_agent()
        self.slow = self.courses.add("course/slow", run="sleep 600; cat says", says=SUCCESS)

    def test_a_running_job_is_killed_and_answered(self):
        job = self.backend.new_job(self.slow, inputdata={"@state": "of the job"})
        self.backend.wait_started(job)
        self.backend.wait(self.container_runs, "container")
        self.backend.kill_job(job, "of the kill")
        done = self.backend.wait_done(job, 5)
        self.assert_ended(done, "killed", "of the job")

    def test_a_kill_right_behind_the_job_leaves_nothing_running(self):
        job = self.backend.new_job(self.slow)
        self.backend.kill_job(job, "of the kill")
        done = self.backend.wait_done(job, 5)
        self.assertEqual(done["result"], ("killed", ""))
        self.assertTrue(host.wait_until(self.no_container_runs, 5))

    def count_sleepers(self):
        """Each is in several cgroups where there are several hierarchies."""
        return len({line.split(": ")[1] for line in self.cgroup.left() if " sleep (" in line})

    def container_runs(self):
        return self.count_sleepers() > 0

    def no_container_runs(self):
        return not [line for line in self.cgroup.left() if " sleep (" in line or " sh (" in line]

    def test_kills_at_many_early_moments_are_each_answered_once(self):
        for delay in range(40):
            job = self.backend.new_job(self.slow)
            time.sleep(delay / 4000 * min(host.time_scale(), 3))
            self.backend.kill_job(job)
            self.assertEqual(self.backend.wait_done(job, 10)["result"], ("killed", ""))
        self.assertTrue(host.wait_until(self.no_container_runs, 5))

    def test_a_kill_of_an_unknown_job_is_not_answered(self):
        self.backend.kill_job("nobody-knows-me")
        self.backend.serve(0.5)  # an answer would fail the backend's own checks

    def test_a_second_kill_is_not_answered(self):
        job = self.backend.new_job(self.slow)
        self.backend.wait_started(job)
        for _ in range(3):
            self.backend.kill_job(job)
        self.assertEqual(self.backend.wait_done(job, 5)["result"], ("killed", ""))
        self.backend.kill_job(job)
        self.backend.serve(0.5)

    def test_a_kill_does_not_touch_other_jobs(self):
        other, job = [self.backend.new_job(self.slow, inputdata={"@state": state}) for state in "12"]
        self.backend.wait(lambda: self.count_sleepers() == 2, "two containers")
        self.backend.kill_job(job)
        self.assert_ended(self.backend.wait_done(job), "killed", "2")
        self.backend.serve(0.3)
        self.assertNotIn(other, self.backend.done)
        self.assertEqual(self.count_sleepers(), 1)
        self.backend.kill_job(other)
        self.assert_ended(self.backend.wait_done(other), "killed", "1")

    def test_a_container_that_ignores_every_signal_is_killed(self):
        run = "trap '' INT TERM HUP QUIT; while :; do sleep 1; done"
        job = self.backend.new_job(self.courses.add("course/deaf", run=run))
        self.backend.wait(self.container_runs, "container")
        self.backend.serve(0.3)
        self.backend.kill_job(job)
        self.assertEqual(self.backend.wait_done(job, 5)["result"], ("killed", ""))


if __name__ == "__main__":
    case.main()
