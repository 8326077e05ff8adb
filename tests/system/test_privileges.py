"""Who runs with which privileges, seen in /proc while a job runs."""

import os

from harness import case, host

CAPABILITY_SETS = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")


class Privileges(case.SystemTest):
    def setUp(self):
        super().setUp()
        self.agent = self.start_agent()

    def test_the_agent_is_an_ordinary_user_without_capabilities(self):
        uids = host.status_field(self.agent.pid, "Uid").split()
        gids = host.status_field(self.agent.pid, "Gid").split()
        self.assertEqual(len(set(uids)), 1, uids)
        self.assertEqual(len(set(gids)), 1, gids)
        self.assertNotIn(uids[0], ("0", "65534"))
        self.assertLess(int(uids[0]), 0x80000)
        self.assertEqual(host.status_field(self.agent.pid, "Groups"), "")
        for name in CAPABILITY_SETS:
            self.assertEqual(int(host.status_field(self.agent.pid, name), 16), 0, name)
        self.assertEqual(host.status_field(self.agent.pid, "NoNewPrivs"), "1")

    def test_every_thread_of_the_agent_is_the_same_user(self):
        """ZeroMQ's threads come after the privileges went."""
        threads = os.listdir(f"/proc/{self.agent.pid}/task")
        self.assertGreater(len(threads), 1)
        for thread in threads:
            task = f"{self.agent.pid}/task/{thread}"
            self.assertNotIn("0", host.status_field(task, "Uid").split())
            self.assertEqual(int(host.status_field(task, "CapPrm"), 16), 0)

    def test_the_agent_cannot_look_into_the_launcher(self):
        """The launcher's files in /proc are root's: it cannot be traced by its client."""
        for name in ("mem", "maps", "environ"):
            st = os.stat(f"/proc/{self.agent.launcher}/{name}")
            self.assertEqual((st.st_uid, st.st_gid), (0, 0))

    def test_agent_launcher_and_container_share_no_user(self):
        task = self.courses.add("course/task", run="sleep 900")
        job = self.backend.new_job(task, limits={"hard_time": 900})
        self.backend.wait_started(job)
        users = {host.status_field(pid, "Uid").split()[0] for pid in (self.agent.pid, self.agent.launcher)}
        self.backend.wait(lambda: self.sleeper() is not None, "container")
        users.add(host.status_field(self.sleeper(), "Uid").split()[0])
        self.assertEqual(len(users), 3, users)
        self.backend.kill_job(job)
        self.assertEqual(self.backend.wait_done(job)["result"], ("killed", ""))

    def sleeper(self):
        for pid in host.descendants(self.agent.launcher):
            try:
                if host.read(f"/proc/{pid}/comm") == "sleep\n":
                    return pid
            except OSError:
                pass
        return None

    def test_the_launcher_runs_from_sealed_memory(self):
        self.assertEqual(os.readlink(f"/proc/{self.agent.launcher}/exe"), "/memfd:dockless (deleted)")
        self.assertEqual(host.read(f"/proc/{self.agent.launcher}/comm"), "dockless-launch\n")
        self.assertEqual(host.read(f"/proc/{self.agent.pid}/comm"), "dockless\n")


if __name__ == "__main__":
    case.main()
