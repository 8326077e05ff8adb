"""A shortage of the whole host, which the kernel ends by killing a container that is far below its own
limit: nothing for a machine that does other things, so this is for virtual ones only."""

import contextlib
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "../system"))

from harness import case, host, sandboxes  # noqa: E402

MIB = 1 << 20
# Takes memory that cannot be given back, a MiB at a time, until one of the processes named is gone.
HOG = """
import os, select, sys
poll, fd, taken = select.poll(), os.memfd_create("hog"), 0
for pid in sys.argv[1:]:
    poll.register(os.pidfd_open(int(pid)))
while not poll.poll(0):
    os.posix_fallocate(fd, taken, 1 << 20)
    taken += 1 << 20
"""
# The first process ends up as a dd with 16 MiB, far below the limit of either container; when sleep runs
# it has them.
HOLD = (
    "mkfifo /tmp/f; (dd if=/dev/zero bs=16M count=1 2>/dev/null; exec sleep 600) >/tmp/f & "
    "exec dd bs=16M iflag=fullblock of=/dev/null </tmp/f"
)


class HostShortage(sandboxes.RunTest):
    def setUp(self):
        super().setUp()
        self.prefer(os.getpid(), -1000)  # and so all that we start
        self.addCleanup(self.prefer, os.getpid(), 0)
        self.kills = self.killed_by_the_kernel()

    @staticmethod
    def prefer(pid, adjustment):
        with open(f"/proc/{pid}/oom_score_adj", "w", encoding="ascii") as file:
            file.write(str(adjustment))

    @staticmethod
    def killed_by_the_kernel():
        """For want of memory, of the host or of a cgroup, since the machine booted."""
        (line,) = [line for line in host.read("/proc/vmstat").splitlines() if line.startswith("oom_kill ")]
        return int(line.split()[1])

    def contained(self):
        """Ids of the processes beside sleep, once there is one."""
        for directory in self.cgroup.directories:
            for path, _, _ in os.walk(directory):
                if not os.path.basename(path).startswith("s"):
                    continue
                with contextlib.suppress(OSError):
                    pids = host.read(path + "/cgroup.procs").split()
                    if "sleep" in [host.read(f"/proc/{pid}/comm").strip() for pid in pids]:
                        return pids
        return []

    def take_all_memory(self):
        """Until the kernel has taken the container."""
        self.backend.wait(lambda: self.contained() or self.backend.done, "container")
        self.assertEqual(self.backend.done, {})
        victims = self.contained()
        for pid in victims:
            self.prefer(pid, 1000)
        hog = subprocess.Popen([sys.executable, "-c", HOG, *victims], stdin=subprocess.DEVNULL)
        self.helpers = (hog.pid,)
        try:
            while self.contained() == victims:
                self.backend.step(0.05)
        finally:
            hog.kill()
            hog.wait()
        self.assertGreater(self.killed_by_the_kernel(), self.kills)

    def test_a_job_that_the_hosts_shortage_ends_has_crashed(self):
        self.start_agent()
        task = self.courses.add("course/task", run=HOLD)
        job = self.backend.new_job(task, limits={"memory": 100, "time": 2000, "hard_time": 6000})
        self.take_all_memory()
        kind, text = self.backend.wait_done(job)["result"]
        self.assertEqual(kind, "crash")
        self.assertIn("did not return any result", text)

    def test_a_run_that_the_hosts_shortage_ends_has_died_of_a_signal(self):
        process = self.popen("sh", "-c", HOLD, options=["-m", "100m"])
        self.take_all_memory()
        self.assertEqual(process.wait(60 * host.time_scale()), 128 + 9)
        report = self.take_report()
        self.assertEqual((report["verdict"], report["signal"], report["limit"]), ("signalled", 9, None), report)
        self.assertGreaterEqual(report["usage"]["oom_kills"], 1)
        self.assertLess(report["usage"]["memory_peak_bytes"] or 0, 90 * MIB)


if __name__ == "__main__":
    case.main()
