"""dockless ps: what runs on this host, whoever started it."""

import collections
import json
import subprocess

from harness import case, host, sandboxes

# In all (fewer where everything takes longer), and beside one another.
RUNS, ALIVE = int(30 / host.time_scale()), 4
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

    def test_runs_that_start_and_end_meanwhile_are_no_trouble(self):
        """Each list is made while one run starts and another ends."""
        runs, ended = collections.OrderedDict(), set()
        for i in range(RUNS + ALIVE):
            lists = [self.start_ps()]
            if i < RUNS:
                name = f"{self.id()}-{i}"
                runs[name] = self.popen(
                    "sh", "-c", "echo up; read x; exit 0", options=["-i", "--name", name],
                    stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                )  # fmt: skip
            lists.append(self.start_ps())
            last = None
            if i >= ALIVE:
                last, process = runs.popitem(last=False)
                process.stdin.close()
                lists.append(self.start_ps())
            found = [self.names_of(process) for process in lists]
            self.assertFalse(ended & set.union(*found))
            if last:
                self.assertEqual(process.wait(30 * host.time_scale()), 0)
                process.stdout.close()
                ended.add(last)
            if i < RUNS:
                self.assertEqual(runs[name].stdout.readline(), b"up\n")
            if i % 8 == 0:
                self.assertLessEqual(set(runs), self.names_of(self.start_ps()))

    @staticmethod
    def start_ps():
        return subprocess.Popen(
            [case.DOCKLESS, "ps", "--format", "json"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def names_of(self, process):
        stdout, stderr = process.communicate(timeout=30 * host.time_scale())
        self.assertEqual((process.returncode, stderr), (0, ""))
        return {entry["name"] for entry in json.loads(stdout)}

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
