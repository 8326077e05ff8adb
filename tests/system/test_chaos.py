# ctest: timeout=600
"""Everything that can happen to an agent, at random, and then the books are balanced: every job that
was accepted got exactly one answer, unless the connection or the agent it belonged to was killed, and
then none afterwards.

The seed is printed; DOCKLESS_TEST_SEED repeats a run, DOCKLESS_CHAOS_SECONDS makes it longer."""

import collections
import os
import random
import signal
import sys
import time

from harness import case, host, images, messages
from harness.backend import Backend
from harness.tasks import SUCCESS, frame

SECONDS = float(os.environ.get("DOCKLESS_CHAOS_SECONDS", "20"))
# What the agent runs at once at most; a burst is more.
JOBS = 30
BURST = 50

STUDENT = {
    "type": "run_student",
    "environment": None,
    "time_limit": 1,
    "hard_time_limit": 2,
    "memory_limit": 20,
    "share_network": False,
    "ssh": False,
    "run_as_root": False,
}
INTERN = b"#!/bin/sh\nexec sleep 0.1\n"


class Chaos(case.SystemTest):
    def setUp(self):
        super().setUp()
        seed = os.environ.get("DOCKLESS_TEST_SEED") or str(random.SystemRandom().randrange(10**9))
        print(f"DOCKLESS_TEST_SEED={seed}", file=sys.stderr)
        self.random = random.Random(seed)
        self.counts = collections.Counter()
        self.store = self.make_store()
        self.tasks = self.make_tasks()

    def make_store(self):
        store = self.directory + "/store"
        layout = images.Layout(self.directory + "/lab")
        files = images.busybox_files() | {"bin/_run_student_intern": INTERN}
        layout.add("raw", [images.layer(files)], images.environment_labels("raw"))
        done = case.run("image", "load", "--store", store, f"oci:{self.directory}/lab:raw")
        self.assertEqual(done.returncode, 0, done.stderr)
        return store

    def make_tasks(self):
        """Pairs of a task and what its job's message has beside it."""
        students = b"".join(frame({**STUDENT, "socket_id": f"s{n}"}) for n in range(4))
        lost = b"".join(frame({**STUDENT, "socket_id": f"s{n}", "environment": "nope"}) for n in range(40))
        runs = {
            "slow": ("sleep 0.5; cat says", {}),
            "long": ("sleep 60", {"hard_time": 3}),
            "spin": ("while :; do :; done", {"time": 1}),
            "eat": ("a=xxxxxxxxxxxxxxxx; while :; do a=$a$a; done", {"memory": 30}),
            "noise": ("head -c 300000 /dev/urandom", {}),
            "yes": ("yes | head -c 30000000", {}),
            "leaves": ("(while :; do :; done) & setsid sleep 60 & cat says", {}),
            "students": ("cat students; sleep 0.2; cat says", {}),
            "lost": ("cat lost says", {}),
            "deaf": ("exec 0<&-; cat students says", {}),
        }
        tasks = [(self.courses.says("course/quick", SUCCESS), {})] * 4
        tasks += [("course/nope", {}), ("../x/y", {}), ("course/quick", {"environment": "nope"})]
        tasks += [("course/quick", {"inputdata": 7}), ("course/quick", {"invented": 1})]
        for name, (run, limits) in runs.items():
            files = {"says": SUCCESS, "students": students, "lost": lost}
            tasks.append((self.courses.add(f"course/{name}", run=run, **files), {"limits": limits}))
        return tasks

    # -- agents and connections

    def begin(self):
        self.agent = self.start_agent("--limit", f"jobs={JOBS}", "--drain-time", "1", store=self.store)

    def unanswered(self, state="started"):
        return [job for job, now in self.backend.jobs.items() if now == state]

    def close_books(self, answered):
        """The end of a connection. ANSWERED: in good order, so that every accepted job was."""
        jobs = collections.Counter(self.backend.jobs.values())
        if answered:
            self.assertEqual(self.unanswered(), [], "accepted, and never answered")
        self.counts["accepted"] += jobs["started"] + jobs["done"]
        self.counts["answered"] += jobs["done"]
        self.counts["killed with their connection"] += jobs["started"]
        self.backend.jobs.clear()

    def hear_out(self, seconds=30):
        """Takes what an agent that ends has still to say."""
        end = time.monotonic() + seconds * host.time_scale()
        while self.agent.process.poll() is None and time.monotonic() < end:
            self.backend.step(0.05)
        self.backend.serve(0.3)

    # -- what can happen

    def new_job(self):
        task, fields = self.random.choice(self.tasks)
        fields = dict(fields)
        if isinstance(fields.get("inputdata", {}), dict):
            fields["inputdata"] = {"@state": "s", "q": "x" * self.random.choice((0, 10, 100000))}
        return self.backend.new_job(task, **fields)

    def do_jobs(self):
        for _ in range(self.random.randrange(1, 6)):
            self.new_job()

    def do_burst(self):
        for _ in range(BURST):
            self.new_job()

    def do_kills(self):
        alive = [job for job, state in self.backend.jobs.items() if state != "done"]
        for job in self.random.sample(alive, min(len(alive), self.random.randrange(1, 20))):
            for _ in range(self.random.randrange(1, 3)):
                self.backend.kill_job(job)

    def do_early_kills(self):
        for _ in range(5):
            self.backend.kill_job(self.new_job())

    def do_duplicates(self):
        # Only where the first cannot have been refused for want of room.
        for _ in range(3):
            if sum(state != "done" for state in self.backend.jobs.values()) < JOBS:
                job = self.backend.new_job("course/long", limits={"hard_time": 3})
                self.backend.new_job("course/quick", job_id=job)

    def do_unknown_kills(self):
        for _ in range(20):
            self.backend.kill_job("nobody")

    def do_garbage(self):
        job = messages.pack({"@type": "BackendNewJob", "course_id": "x", "task_id": "y"})
        for _ in range(50):
            self.backend.send_raw(self.random.randbytes(self.random.randrange(0, 300)))
            self.backend.send_raw(job[: self.random.randrange(len(job))])

    def do_pings(self):
        for _ in range(500):
            self.backend.send("Ping")

    def do_reload(self):
        self.agent.process.send_signal(signal.SIGHUP)

    def do_break(self):
        """The backend vanishes and comes back."""
        address = self.backend.address
        self.close_books(answered=False)
        self.backend.close()
        time.sleep(self.random.choice((0, 0.1, 1)))
        self.backend = Backend(address)
        self.addCleanup(self.backend.close)
        self.backend.wait_hello()

    def do_kill_agent(self):
        self.agent.kill()
        self.backend.serve(0.3)
        self.close_books(answered=False)
        self.begin()

    def do_kill_launcher(self):
        os.kill(self.agent.launcher, signal.SIGKILL)
        self.hear_out()
        self.assertNotEqual(self.agent.wait(), 0)
        self.close_books(answered=True)
        self.begin()

    def do_terminate(self):
        self.agent.process.send_signal(self.random.choice((signal.SIGTERM, signal.SIGINT)))
        self.do_jobs()
        self.hear_out()
        self.assertEqual(self.agent.wait(), 0)
        self.close_books(answered=True)
        self.begin()

    def step(self):
        weights = {
            self.do_jobs: 40,
            self.do_kills: 12,
            self.do_early_kills: 6,
            self.do_duplicates: 6,
            self.do_unknown_kills: 3,
            self.do_garbage: 6,
            self.do_pings: 3,
            self.do_reload: 3,
            self.do_burst: 2,
            self.do_break: 3,
            self.do_kill_agent: 2,
            self.do_kill_launcher: 2,
            self.do_terminate: 3,
        }
        action = self.random.choices(list(weights), weights.values())[0]
        self.counts[action.__name__] += 1
        action()

    def test_every_accepted_job_is_answered_once(self):
        self.begin()
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            self.step()
            self.backend.serve(self.random.uniform(0, 0.2))
        # Each kind of end at least once, whatever the dice said.
        for action in (self.do_break, self.do_kill_agent, self.do_kill_launcher, self.do_terminate):
            self.do_jobs()
            self.backend.serve(0.2)
            action()
        self.do_jobs()
        for job in list(self.backend.jobs):
            self.backend.wait_done(job)
        self.close_books(answered=True)
        print(dict(self.counts), file=sys.stderr)
        self.assertEqual(
            self.counts["accepted"], self.counts["answered"] + self.counts["killed with their connection"]
        )
        self.assertGreater(self.counts["answered"], 20)
        self.assertEqual(self.agent.stop(), 0)


if __name__ == "__main__":
    case.main()
