# ctest: serial
"""When limits are enforced: bounds of the design are 20 ms for processor time and 5 ms for wall
time; here the start and the way through the wire come on top."""

import time

from harness import case, host

BURN = "while :; do :; done"


class Precision(case.SystemTest):
    def setUp(self):
        super().setUp()
        self.start_agent()

    def seconds(self, script, **limits):
        task = self.courses.add("course/task", run=script)
        self.grade(task, limits={"time": 1, "hard_time": 1})  # warm
        start = time.monotonic()
        self.assert_ended(self.grade(task, limits=limits), "timeout")
        return time.monotonic() - start

    def test_wall_timeouts_are_answered_within_50_ms(self):
        took = self.seconds("sleep 60", time=60, hard_time=2)
        self.assertGreater(took, 2)
        self.assertLess(took, 2 + 0.05 * host.time_scale())

    def test_processor_timeouts_come_within_50_ms_of_processor_time(self):
        """Also where the processor is shared with others: the clock on the wall says nothing."""
        task = self.courses.add("course/task", run=BURN)
        for limit in (1, 2):
            start = self.cgroup.cpu_seconds()
            self.assert_ended(self.grade(task, limits={"time": limit, "hard_time": 60}), "timeout")
            used = self.cgroup.cpu_seconds() - start
            self.assertGreaterEqual(used, limit)
            self.assertLess(used, limit + 0.05 * host.time_scale())


if __name__ == "__main__":
    case.main()
