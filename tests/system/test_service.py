"""The agent as a service: what it tells the service manager (sd_notify(3))."""

import os
import signal
import socket

from harness import case, host
from harness.tasks import SUCCESS


class Service(case.SystemTest):
    def setUp(self):
        super().setUp()
        path = self.directory + "/notify"
        self.manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(self.manager.close)
        self.manager.bind(path)
        os.chmod(path, 0o777)  # the agent is nobody in particular
        self.set_environment("NOTIFY_SOCKET", path)

    def set_environment(self, name, value):
        os.environ[name] = value
        self.addCleanup(os.environ.pop, name)

    def told(self):
        """The next word that is not the watchdog's."""
        self.manager.settimeout(20 * host.time_scale())
        while True:
            lines = self.manager.recv(4096).decode().splitlines()
            if lines != ["WATCHDOG=1"]:
                return dict(line.split("=", 1) for line in lines)

    def test_the_service_manager_knows_when_it_serves_reads_and_leaves(self):
        agent = self.start_agent("--drain-time", "300")
        ready = self.told()
        self.assertEqual((ready["READY"], ready["STATUS"].split(", ")[1]), ("1", "8 jobs at once"))
        agent.process.send_signal(signal.SIGHUP)
        reloading = self.told()
        self.assertEqual(reloading["RELOADING"], "1")
        self.assertGreater(int(reloading["MONOTONIC_USEC"]), 0)
        self.assertEqual(self.told()["READY"], "1")
        job = self.backend.new_job(self.courses.add("course/task", run="sleep 900"))
        self.backend.wait_started(job)
        agent.process.send_signal(signal.SIGTERM)
        stopping = self.told()
        self.assertEqual((stopping["STOPPING"], stopping["STATUS"]), ("1", "leaving, 1 jobs are running"))
        self.assertGreaterEqual(int(stopping["EXTEND_TIMEOUT_USEC"]), 300000000)
        agent.process.send_signal(signal.SIGTERM)
        self.assertLess(int(self.told()["EXTEND_TIMEOUT_USEC"]), 300000000)
        self.assert_crash(self.backend.wait_done(job), "Agent restarted")
        self.assertEqual(agent.wait(), 0)

    def test_the_watchdog_is_answered(self):
        self.set_environment("WATCHDOG_USEC", "400000")
        self.start_agent()
        self.manager.settimeout(20 * host.time_scale())
        words = [self.manager.recv(4096) for _ in range(4)]
        self.assertGreaterEqual(words.count(b"WATCHDOG=1"), 2, words)


if __name__ == "__main__":
    case.main()
