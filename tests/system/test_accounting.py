# ctest: no-asan
"""What a report says, beside what the kernel counted and what a program costs in a cgroup without
anything of ours, which is what `systemd-run --scope` and runc tell."""

import contextlib
import os
import shutil
import subprocess
import typing

from harness import case, host, sandboxes

KNOWN = os.path.join(os.path.realpath(case.BUILD_DIR), "tests/system/known")
MIB = 1 << 20
# Each is the first of these files that there is: unified, hybrid.
PEAK = ("memory.peak", "memory.max_usage_in_bytes")
CURRENT = ("memory.current", "memory.usage_in_bytes")


class Use(typing.NamedTuple):
    """What a program used while it worked, and its cgroup in all."""

    own: int  # microseconds by getrusage()
    cpu: int  # the same by the cgroup's counter
    memory: int | None  # bytes
    total_cpu: int
    peak: int | None


def cpu_usec(cgroups):
    for cgroup in cgroups:
        with contextlib.suppress(OSError):
            words = host.read(cgroup + "/cpu.stat").split()
            if words[0] == "usage_usec":
                return int(words[1])
    raise AssertionError("there is no cpu.stat")


def counter(cgroups, names):
    """None where the kernel does not tell."""
    for cgroup in cgroups:
        for name in names:
            with contextlib.suppress(OSError):
                return int(host.read(f"{cgroup}/{name}"))
    return None


class Accounting(sandboxes.RunTest):
    def work(self, process, find_cgroups):
        """Lets the program work and end; its Use."""
        own = -int(process.stdout.readline())
        cgroups = find_cgroups()
        cpu, memory = -cpu_usec(cgroups), counter(cgroups, CURRENT)
        process.stdin.write(b"\n")
        process.stdin.flush()
        own += int(process.stdout.readline())
        total, peak = cpu_usec(cgroups), counter(cgroups, PEAK)
        process.stdin.write(b"\n")
        process.stdin.close()
        self.assertEqual(process.wait(30 * host.time_scale()), 0)
        process.stdout.close()
        return Use(own, cpu + total, None if peak is None else peak - memory, total, peak)

    def in_a_sandbox(self, *words):
        """The Use of `known` in a sandbox, and what the report tells."""
        known = self.directory + "/known"  # where ids can be mapped: in a virtual machine KNOWN is not
        shutil.copy(KNOWN, known)
        process = self.popen(
            "/known", *words, options=["-i", "-v", f"{known}:/known:ro"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        use = self.work(process, lambda: self.cgroups_of_known(process))
        return use, self.take_report()["usage"]

    def in_a_bare_cgroup(self, *words):
        places = self.cgroup.make_place()
        process = subprocess.Popen(
            [KNOWN, *words], preexec_fn=lambda: host.Cgroup.enter(places),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        return self.work(process, lambda: places)

    def cgroups_of_known(self, process):
        (pid,) = [pid for pid in host.descendants(process.pid) if host.read(f"/proc/{pid}/comm") == "known\n"]
        return [
            path
            for directory in self.cgroup.directories
            for path, _, _ in os.walk(directory)
            if str(pid) in host.read(path + "/cgroup.procs").split()
        ]

    def test_a_report_is_what_the_kernel_counted(self):
        """When the counters are read by us, the program only has to end."""
        use, report = self.in_a_sandbox("tell", "300", "64")
        self.assertEqual(report["memory_peak_bytes"], use.peak)
        total = report["user_usec"] + report["system_usec"]
        self.assertGreaterEqual(total, use.total_cpu)
        self.assertLess(total - use.total_cpu, use.total_cpu * 0.01 * host.time_scale())

    def test_a_program_costs_in_a_sandbox_what_it_costs_without(self):
        use, _ = self.in_a_sandbox("tell", "500", "0")
        bare = self.in_a_bare_cgroup("tell", "500", "0")
        self.assertAlmostEqual(use.cpu, bare.cpu, delta=bare.cpu * 0.01 * host.time_scale())
        self.assertAlmostEqual(use.cpu, use.own, delta=use.own * 0.01 * host.time_scale())
        use, _ = self.in_a_sandbox("tell", "0", "64")
        bare = self.in_a_bare_cgroup("tell", "0", "64")
        if bare.memory is not None:
            self.assertAlmostEqual(use.memory, bare.memory, delta=64 * MIB * 0.01)
            self.assertAlmostEqual(use.memory, 64 * MIB, delta=64 * MIB * 0.02)


if __name__ == "__main__":
    case.main()
