"""dockless ps: what runs on this host, whoever started it."""

import json
import subprocess

from harness import case, host, sandboxes

RUN = "#!/bin/sh\nsleep 600\n"


class Ps(sandboxes.RunTest):
    def listed(self):
        done = case.run("ps", "--format", "json")
        self.assertEqual(done.returncode, 0, done.stderr)
        return {entry["name"]: entry for entry in json.loads(done.stdout)}

    def start(self, name):
        process = self.popen(
            "sh", "-c", "echo up; sleep 600", options=["--name", name], stdout=subprocess.PIPE
        )
        self.assertEqual(process.stdout.readline(), b"up\n")
        process.stdout.close()
        return process

    def test_runs_are_listed_while_they_last(self):
        names = [f"{self.id()}-{i}" for i in range(2)]
        first, second = [self.start(name) for name in names]
        entry = self.listed()[names[0]]
        self.assertEqual(entry["command"], ["sh", "-c", "echo up; sleep 600"])
        self.assertTrue(host.describe(entry["pid"]).split()[1] in ("init", "dockless"), entry)
        self.assertIn(names[1], self.listed())
        self.assertIn(names[1], case.run("ps").stdout)
        first.terminate()
        first.wait()
        self.assertNotIn(names[0], self.listed())
        self.assertIn(names[1], self.listed())
        second.terminate()
        second.wait()

    def test_a_run_that_was_killed_hard_is_not_listed(self):
        name = self.id()
        process = self.start(name)
        launcher = host.children(process.pid)
        for pid in (*launcher, process.pid):
            subprocess.run(["kill", "-9", str(pid)], check=True)
        process.wait()
        self.assertTrue(host.wait_until(lambda: name not in self.listed(), 10))
        self.output("true")  # the next run takes away what is left

    def test_jobs_of_an_agent_are_listed(self):
        self.courses.add("course/ps", RUN)
        self.start_agent()
        job = self.backend.new_job("course/ps")
        self.backend.wait(lambda: "course/ps" in self.listed(), "job in the list")
        self.backend.kill_job(job)
        self.backend.wait_done(job)
        self.assertNotIn("course/ps", self.listed())


if __name__ == "__main__":
    case.main()
