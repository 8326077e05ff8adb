"""Slots with cores of their own."""

import os

from harness import case
from harness.tasks import SUCCESS


class Pinning(case.SystemTest):
    def test_a_pinned_slot_has_a_whole_core(self):
        config = os.path.join(self.directory, "agent.yaml")
        with open(config, "w", encoding="utf-8") as file:
            file.write("pin: yes\n")
        cores = set()
        for cpu in os.sched_getaffinity(0):
            with open(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list") as file:
                cores.add(file.read().strip())
        script = (
            "cpus=$(sed -n 's/Cpus_allowed_list:[[:space:]]*//p' /proc/self/status); "
            f"case $cpus in {'|'.join(sorted(cores))}) cat says ;; esac"
        )
        self.start_agent("--config", config, "--concurrency", str(len(cores)))
        done = self.grade(self.courses.add("course/task", run=script, says=SUCCESS))
        self.assertEqual(done["result"], ("success", "done"))


if __name__ == "__main__":
    case.main()
