# ctest: vm-only
"""The agent as the service that is installed, run by a systemd: tests/vm/systemd starts one for this test."""

import contextlib
import os
import subprocess

from harness import case, host
from harness.tasks import SUCCESS

UNITS = "/run/systemd/system"
NAME = "dockless-agent"


class Systemd(case.SystemTest):
    def systemctl(self, *words):
        done = subprocess.run(["systemctl", *words], capture_output=True, text=True, check=False, timeout=100)
        self.assertEqual(done.returncode, 0, done.stderr + self.log())
        return done.stdout.strip()

    def log(self):
        path = self.directory + "/log"
        return host.read(path) if os.path.exists(path) else ""

    def start_service(self):
        """The unit as it is installed, but for the place of the program, its options, and what it needs of a whole
        host."""
        with open(os.path.join(case.BUILD_DIR, NAME + ".service"), encoding="utf-8") as file:
            text = file.read()
        program = f"{case.DOCKLESS} agent --tasks {self.courses.directory} --store {case.shared_store()}"
        program += f" --tmpdir {self.directory}/tmp {self.backend.address}"
        self.addCleanup(os.remove, f"{UNITS}/{NAME}.service")
        with open(f"{UNITS}/{NAME}.service", "w", encoding="utf-8") as file:
            for line in text.splitlines():
                if line.startswith("ExecStart="):
                    line = f"ExecStart={program}\nStandardOutput=append:{self.directory}/log\nStandardError=inherit"
                elif line.startswith(("Wants=", "After=")):
                    line = "DefaultDependencies=no"
                elif line.startswith("ConditionPathExists="):
                    continue
                file.write(line + "\n")
        self.systemctl("start", NAME)
        self.addCleanup(subprocess.run, ["systemctl", "stop", "--no-block", NAME], check=False)
        self.backend.wait_hello(1)
        return int(self.systemctl("show", "-P", "MainPID", NAME))

    def test_jobs_live_in_the_services_own_cgroup_until_it_is_stopped(self):
        pid = self.start_service()
        cgroup = self.systemctl("show", "-P", "ControlGroup", NAME)
        self.assertTrue(cgroup.endswith(f"/{NAME}.service"), cgroup)
        self.assertIn(f"0::{cgroup}/", host.read(f"/proc/{pid}/cgroup"))
        job = self.backend.new_job(self.courses.add("course/slow", run="sleep 900"))
        self.backend.wait_started(job)
        sleeping = f"{host.CGROUP_ROOT}{cgroup}"
        self.backend.wait(lambda: b"sleep\x00900" in self.command_lines(sleeping), "first process")

        limits = {"memory": 32, "time": 600, "hard_time": 600}
        hog = self.courses.add("course/hog", run="dd if=/dev/zero of=/dev/null bs=100M count=1")
        self.assert_ended(self.backend.wait_done(self.backend.new_job(hog, limits=limits)), "overflow")
        task = self.courses.says("course/task", SUCCESS)
        self.assertEqual(self.grade(task)["result"], ("success", "done"))
        self.systemctl("reload", NAME)
        self.assertEqual(self.systemctl("show", "-P", "ActiveState", NAME), "active")
        self.assertEqual(int(self.systemctl("show", "-P", "MainPID", NAME)), pid)

        self.systemctl("stop", "--no-block", NAME)
        self.backend.kill_job(job)
        self.assert_ended(self.backend.wait_done(job), "killed")
        self.backend.wait(lambda: self.systemctl("show", "-P", "ActiveState", NAME) == "inactive", "end", 60)
        self.assertEqual(self.systemctl("show", "-P", "Result", NAME), "success")
        self.assertFalse(os.path.exists(sleeping))

    def command_lines(self, cgroup):
        """Of all processes below CGROUP, some of which end meanwhile."""
        lines = b""
        for directory, _, _ in os.walk(cgroup):
            with contextlib.suppress(OSError):
                for pid in host.read(f"{directory}/cgroup.procs").split():
                    lines += host.read(f"/proc/{pid}/cmdline").encode()
        return lines


if __name__ == "__main__":
    case.main()
