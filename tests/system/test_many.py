"""Many jobs: nothing grows, nothing is mixed up."""

import os

from harness import case, host
from harness.tasks import SUCCESS, result


class Many(case.SystemTest):
    def figures(self, agent):
        """What must not grow with the number of jobs. The launcher keeps one user namespace for
        each id range it ever used: as many as ever ran at once, also in other tests' agents."""
        kept = host.fd_targets(agent.launcher)
        namespaces = sum(target.startswith("user:[") for target in kept)
        self.assertLess(namespaces, 100)
        return {
            "agent fds": len(host.fd_targets(agent.pid)),
            "launcher fds": len(kept) - namespaces,
            "launcher mounts": len(host.read(f"/proc/{agent.launcher}/mountinfo").splitlines()),
            "cgroups": len([line for line in self.cgroup.left() if ": " not in line]),
            "processes": len(host.descendants(agent.pid)),
            "files": sum(len(d) + len(f) for _, d, f in os.walk(agent.tmpdir)),
        }

    def settled(self, agent, wanted):
        """The figures, once they are WANTED or else after a while: cleaning is asynchronous."""
        host.wait_until(lambda: self.figures(agent) == wanted, 5)
        return self.figures(agent)

    def at_rest(self, agent):
        """The figures when nothing is cleaned away or made ahead any more."""
        before, now = None, self.figures(agent)
        while before != now:
            self.backend.serve(1)
            before, now = now, self.figures(agent)
        return now

    def test_200_jobs_in_a_row_leave_the_agent_as_it_was(self):
        agent = self.start_agent()
        task = self.courses.says("course/task", SUCCESS)
        for _ in range(20):
            self.grade(task)
        figures = self.at_rest(agent)
        rss = [host.rss_kib(pid) for pid in (agent.pid, agent.launcher)]
        for _ in range(200):
            self.assertEqual(self.grade(task)["result"], ("success", "done"))
        self.assertEqual(self.settled(agent, figures), figures)
        for pid, before in zip((agent.pid, agent.launcher), rss):
            self.assert_memory_below(pid, before + 512)

    def test_jobs_of_every_ending_leave_the_agent_as_it_was(self):
        agent = self.start_agent()
        eat = "a=xxxxxxxxxxxxxxxx; while :; do a=$a$a; done"
        tasks = [
            (self.courses.says("course/good", SUCCESS), {}),
            (self.courses.says("course/garbage", b"\xff" * 5000), {}),
            (self.courses.add("course/eat", run=eat), {"limits": {"memory": 30}}),
            (self.courses.add("course/late", run="sleep 9"), {"limits": {"hard_time": 1}}),
            ("course/nope", {}),
            ("course/good", {"environment": "nope"}),
        ]
        figures = None
        for turn in range(4):
            jobs = [self.backend.new_job(task, **fields) for task, fields in tasks]
            for job in jobs:
                self.backend.wait_done(job)
            if turn == 0:
                figures = self.at_rest(agent)
        self.assertEqual(self.settled(agent, figures), figures)

    def test_8_at_once_each_get_their_own_answer(self):
        self.start_agent()
        jobs = {}
        for turn in range(3):
            for number in range(8):
                text = f"{turn}-{number}"
                task = self.courses.add(
                    f"course/{text}", run="sleep 0.3; cat says", says=result(result="success", text=text)
                )
                jobs[self.backend.new_job(task)] = text
        for job, text in jobs.items():
            self.assertEqual(self.backend.wait_done(job)["result"], ("success", text))

    def test_8_at_once_have_ids_of_their_own(self):
        """No host uid is shared by two running containers, and none is the host's root."""
        agent = self.start_agent()
        task = self.courses.add("course/task", run="while :; do sleep 9; done", says=SUCCESS)
        jobs = [self.backend.new_job(task, limits={"hard_time": 900}) for _ in range(8)]
        for job in jobs:
            self.backend.wait_started(job)

        def sleepers():
            found = []
            for pid in host.descendants(agent.launcher):
                try:
                    if host.read(f"/proc/{pid}/comm") == "sleep\n":
                        found.append(host.status_field(pid, "Uid").split()[0])
                except OSError:
                    pass
            return found

        self.assertTrue(host.wait_until(lambda: len(sleepers()) == 8, 30))
        uids = sleepers()
        self.assertEqual(len(set(uids)), 8, uids)
        self.assertTrue(all(int(uid) >= 65536 for uid in uids), uids)
        for job in jobs:
            self.backend.kill_job(job)
        for job in jobs:
            self.assertEqual(self.backend.wait_done(job)["result"][0], "killed")

    def test_more_jobs_than_slots_are_all_answered(self):
        self.start_agent("--concurrency", "2")
        task = self.courses.says("course/task", SUCCESS)
        count = 50 if host.time_scale() < 10 else 20  # in a virtual machine
        jobs = [self.backend.new_job(task) for _ in range(count)]
        for job in jobs:
            self.backend.wait_done(job)


if __name__ == "__main__":
    case.main()
