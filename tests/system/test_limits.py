"""Memory, processor time and wall time, as seen by the backend."""

import contextlib
import os

from harness import case, host
from harness.tasks import SUCCESS

# The shell's variable grows until the limit; "tail" keeps a second process alive meanwhile.
EAT_MEMORY = "a=xxxxxxxxxxxxxxxx; while :; do a=$a$a; done"
BURN = "while :; do :; done"


class Limits(case.SystemTest):
    def setUp(self):
        super().setUp()
        self.start_agent()

    def run_script(self, script, **limits):
        task = self.courses.add("course/task", run=script, says=SUCCESS)
        return self.grade(task, limits=limits, inputdata={"@state": "kept"})

    def test_grader_out_of_memory_reports_overflow(self):
        self.assert_ended(self.run_script(EAT_MEMORY, memory=30), "overflow", "kept")

    def test_child_out_of_memory_ends_the_grader_as_overflow(self):
        script = f"({EAT_MEMORY}) & wait; sleep 1; cat says"
        self.assert_ended(self.run_script(script, memory=30), "overflow", "kept")

    def test_shared_memory_counts(self):
        script = "dd if=/dev/zero of=/dev/shm/x bs=1M count=60; cat says"
        self.assert_ended(self.run_script(script, memory=30), "overflow", "kept")

    def test_memory_below_the_limit_is_granted(self):
        script = "dd if=/dev/zero of=/dev/shm/x bs=1M count=20 2>/dev/null && cat says"
        self.assertEqual(self.run_script(script, memory=60)["result"], ("success", "done"))

    def test_a_limit_below_20_means_20(self):
        script = "dd if=/dev/zero of=/dev/shm/x bs=1M count=10 2>/dev/null && cat says"
        self.assertEqual(self.run_script(script, memory=1)["result"], ("success", "done"))

    def test_processor_time_ends_in_timeout(self):
        self.assert_ended(self.run_script(BURN, time=1, hard_time=60), "timeout", "kept")

    def test_processor_time_of_children_counts(self):
        script = f"({BURN}) & ({BURN}) & wait"
        self.assert_ended(self.run_script(script, time=1, hard_time=60), "timeout", "kept")

    def test_short_lived_children_do_not_escape_the_processor_limit(self):
        script = "while :; do (i=0; while [ $i -lt 2000 ]; do i=$((i+1)); done); done"
        self.assert_ended(self.run_script(script, time=1, hard_time=60), "timeout", "kept")

    def test_wall_time_ends_in_timeout(self):
        self.assert_ended(self.run_script("sleep 60", time=60, hard_time=1), "timeout", "kept")

    def test_a_stopped_container_does_not_stop_the_clock(self):
        script = "(while :; do kill -STOP -1; done) & kill -STOP $!; sleep 60"
        self.assert_ended(self.run_script(script, time=60, hard_time=1), "timeout", "kept")

    def test_a_child_that_outlives_the_grader_is_ended_with_it(self):
        script = "setsid nohup sleep 60 >/dev/null 2>&1 & cat says"
        self.assertEqual(self.run_script(script)["result"], ("success", "done"))
        self.assertTrue(host.wait_until(lambda: not self.cgroup_processes_called("sleep"), 5))

    def cgroup_processes_called(self, name):
        return [line for line in self.cgroup.left() if f" {name} (" in line]

    def test_time_zero_is_hit_at_once(self):
        self.assert_ended(self.run_script("sleep 60", time=0, hard_time=30), "timeout", "kept")


class ConfiguredLimits(case.SystemTest):
    """Those that hold because the configuration says so."""

    def run_script(self, script, *options, **limits):
        self.start_agent(*options)
        task = self.courses.add("course/task", run=script, says=SUCCESS)
        return self.grade(task, limits=limits, inputdata={"@state": "kept"})

    FILL = "dd if=/dev/zero of=/task/fill bs=1M count={} 2>/dev/null {} exit 1; cat says"

    def test_disk_beyond_the_configured_limit_is_refused(self):
        done = self.run_script(self.FILL.format(20, "&&"), "--limit", "disk=16M")
        self.assertEqual(done["result"], ("success", "done"))

    def test_a_task_may_ask_for_less_disk_than_configured(self):
        done = self.run_script(self.FILL.format(20, "&&"), "--limit", "disk=64M", disk=8)
        self.assertEqual(done["result"], ("success", "done"))

    def test_disk_within_both_limits_is_granted(self):
        done = self.run_script(self.FILL.format(20, "||"), "--limit", "disk=64M", disk=32)
        self.assertEqual(done["result"], ("success", "done"))

    def test_without_a_configured_limit_the_tasks_own_is_ignored(self):
        done = self.run_script(self.FILL.format(20, "||"), disk=8)
        self.assertEqual(done["result"], ("success", "done"))

    def config(self, text):
        path = self.directory + "/agent.yaml"
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def test_a_limit_that_this_host_cannot_enforce_keeps_the_agent_from_starting(self):
        path = self.config("disk-by: quota\nlimits: {disk: 16M}\n")
        words = ["agent", "--config", path, "--tasks", self.courses.directory, "--share-store", "--store",
                 case.shared_store(), "--tmpdir", self.directory + "/scratch", "tcp://127.0.0.1:1"]
        self.assert_one_line(case.run(*words), 'the limit "disk"', "no project quotas", "waive it by name")
        self.config("disk-by: sometimes\n")
        self.assert_one_line(case.run(*words), "agent.yaml:1:", "auto, quota, image")

    def test_a_limit_that_is_waived_by_name_is_left_out(self):
        path = self.config("disk-by: quota\nwaive: [disk]\nlimits: {disk: 16M}\n")
        done = self.run_script(self.FILL.format(20, "||"), "--config", path)
        self.assertEqual(done["result"], ("success", "done"))

    def values_of(self, *names):
        """What the cgroups of all containers have in the files of these names."""
        values = []
        for top in self.cgroup.directories:
            for directory, _, files in os.walk(top):
                for name in set(names) & set(files):
                    with contextlib.suppress(OSError):
                        values.append(host.read(f"{directory}/{name}").strip())
        return values

    WEIGHTS = ("io.weight", "io.bfq.weight", "blkio.bfq.weight", "blkio.weight")

    def test_limits_of_the_configuration_reach_the_container(self):
        limits = "limits: {pids: 321, open-files: 123, inodes: 90, cpu: 70, io-weight: 60}\n"
        weighs = any(os.path.exists(f"{directory}/{name}")
                     for directory in self.cgroup.directories for name in self.WEIGHTS)
        path = self.config("waive: [cpu]\n" + limits)
        if not weighs:
            words = ["agent", "--config", path, "--tasks", self.courses.directory, "--share-store",
                     "--store", case.shared_store(), "--tmpdir", self.directory + "/scratch",
                     "tcp://127.0.0.1:1"]
            self.assert_one_line(case.run(*words), 'the limit "io"', "waive it by name")
            path = self.config("waive: [cpu, io]\n" + limits)
        script = (
            '[ "$(ulimit -Sn) $(ulimit -Hn)" = "123 123" ] || exit 1; '
            "i=0; while echo 2>/dev/null >/task/f$i && [ $i -lt 999 ]; do i=$((i+1)); done; "
            "[ $i -gt 80 ] && [ $i -lt 140 ] && sleep 300"
        )
        self.start_agent("--config", path)
        task = self.courses.add("course/task", run=script, says=SUCCESS)
        job = self.backend.new_job(task, limits={"time": 60, "hard_time": 300})
        sleeps = host.wait_until(lambda: any(" sleep (" in line for line in self.cgroup.left()), 20)
        self.assertTrue(sleeps, self.backend.done)
        self.assertIn("321", self.values_of("pids.max"))
        share = self.values_of("cpu.max", "cpu.cfs_quota_us")
        self.assertTrue(not share or {"70000", "70000 100000"} & set(share), share)
        weight = {"60", "default 60"} & set(self.values_of(*self.WEIGHTS))
        self.assertEqual(bool(weight), weighs)
        self.backend.kill_job(job)
        self.backend.wait_done(job)

    def test_more_open_files_than_the_agent_may_have_are_refused(self):
        path = self.config("limits: {open-files: 200000000}\n")
        words = ["agent", "--config", path, "--tasks", self.courses.directory, "--share-store", "--store",
                 case.shared_store(), "--tmpdir", self.directory + "/scratch", "tcp://127.0.0.1:1"]
        self.assert_one_line(case.run(*words), "limits.open-files is 200000000")

    def test_output_beyond_the_limit_reports_overflow(self):
        script = "while :; do echo x; done"
        done = self.run_script(script, "--limit", "output=1K")
        self.assert_ended(done, "overflow", "kept")


if __name__ == "__main__":
    case.main()
