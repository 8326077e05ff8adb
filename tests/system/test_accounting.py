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
        # On a busy machine the first process of a sandbox may still be on its way to where it waits.
        self.assertTrue(host.wait_until(lambda: self.is_asleep(cgroups)))
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

    @staticmethod
    def is_asleep(cgroups):
        pids = {pid for path in cgroups for pid in host.read(path + "/cgroup.procs").split()}
        return all(host.status_field(pid, "State").startswith("S") for pid in pids)

    def copy_of_known(self):
        """Where ids can be mapped: in a virtual machine KNOWN is not."""
        return shutil.copy(KNOWN, self.directory + "/known")

    def usage_of(self, *words, options=()):
        """What the report tells of `known` with the arguments WORDS."""
        done = self.sandbox("/known", *words, options=["-v", f"{self.copy_of_known()}:/known:ro", *options])
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.report["usage"]

    def in_a_sandbox(self, *words):
        """The Use of `known` in a sandbox, and what the report tells."""
        known = self.copy_of_known()
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
        self.assertGreaterEqual(total + 1, use.total_cpu)  # user and system are each rounded down
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

    # -- the whole of a run against what the program says of itself: each within one per cent

    def test_cpu_time_is_that_of_a_known_burner(self):
        """What it costs to start and end a sandbox is not the burner's: a run without it tells how much."""
        nothing, much = (self.usage_of("burn", str(length)) for length in (0, 3000))
        burnt = sum(much[name] - nothing[name] for name in ("user_usec", "system_usec"))
        self.assertAlmostEqual(burnt, 3e6, delta=3e6 * 0.01 * host.time_scale())

    def test_peak_memory_is_that_of_a_known_allocator(self):
        nothing, much = (self.usage_of("allocate", str(size))["memory_peak_bytes"] for size in (0, 64))
        self.assertAlmostEqual(much - nothing, 64 * MIB, delta=64 * MIB * 0.01)

    def test_written_bytes_are_those_of_a_known_writer(self):
        """Past the page cache, and through it where the kernel tells whose pages it writes."""
        out = self.directory + "/out"
        os.mkdir(out)
        for kind in ("write", "put"):
            usage = self.usage_of(kind, "16", "/out/" + kind, options=["-v", out + ":/out"])
            self.assertEqual(os.path.getsize(f"{out}/{kind}"), 16 * MIB)
            if os.path.exists(host.CGROUP_ROOT + "/cgroup.controllers"):
                self.assertAlmostEqual(usage["write_bytes"], 16 * MIB, delta=16 * MIB * 0.01, msg=kind)
            else:
                # Version 1 counts only on kernels of before, and never what goes through the cache.
                self.assertIn(usage["write_bytes"], (None, *range(16 * MIB, 16 * MIB * 101 // 100)))


if __name__ == "__main__":
    case.main()
