"""dockless bench: what is measured, how it is shown, how it ends."""

import contextlib
import csv
import io
import json
import os
import pty
import signal
import statistics
import subprocess
import xml.dom.minidom

from harness import case, host, sandboxes

KNOWN = os.path.join(os.path.realpath(case.BUILD_DIR), "tests/system/known")
COUNTERS = [
    "wall_usec", "cpu_usec", "user_usec", "system_usec", "memory_peak_bytes", "tasks_peak",
    "read_bytes", "write_bytes", "voluntary_switches", "involuntary_switches", "throttled_usec",
    "cpu_pressure_usec", "memory_pressure_usec", "io_pressure_usec",
]  # fmt: skip
COMPARED = {"wall_usec", "cpu_usec", "memory_peak_bytes"}


# Of the interval: how often is drawn, and with what generator's seed, so that the bounds are the same.
RESAMPLES, SEED, MASK = 10000, 20251127, (1 << 64) - 1


def splitmix64(state):
    while True:
        state = (state + 0x9E3779B97F4A7C15) & MASK
        z = ((state ^ state >> 30) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ z >> 27) * 0x94D049BB133111EB) & MASK
        yield z ^ z >> 31


def bootstrap(base, other):
    """The ratio of the medians and the bounds of its interval."""
    random, n = splitmix64(SEED), len(base)
    ratios = []
    for _ in range(RESAMPLES):
        drawn = [(next(random) >> 32) * n >> 32 for _ in range(n)]
        below = statistics.median(base[i] for i in drawn)
        ratios.append(statistics.median(other[i] for i in drawn) / below)
    cuts = statistics.quantiles(ratios, n=40, method="inclusive")
    return statistics.median(other) / statistics.median(base), cuts[0], cuts[38]


class Bench(sandboxes.RunTest):
    def words(self, *words, image="raw", options=()):
        return [
            case.DOCKLESS, "bench", "--store", case.shared_store(), "--tmpdir", self.scratch,
            "--entrypoint", "", *options, image, "--", *words,
        ]  # fmt: skip

    def bench(self, *words, runs=3, options=(), **keywords):
        """The object that it prints."""
        options = ["-n", str(runs), "--format", "json", *options]
        return json.loads(self.output(*words, options=options, **keywords))

    def volume(self):
        """A directory of the host and the option that makes it /out."""
        path = self.directory + "/out"
        os.makedirs(path, exist_ok=True)
        return path, ["-v", path + ":/out"]

    def known(self, kind, *amounts, runs=3, options=()):
        """The summaries of the known program with each of AMOUNTS, which are its arguments."""
        words = " --vs -- ".join(f"/known {kind} {amount}" for amount in amounts).split()
        options = ["-v", f"{KNOWN}:/known:ro", *options]
        found = self.bench(*words, runs=runs, options=options)
        return [command["summary"] for command in found["commands"]]

    # -- known programs; what starts and ends a sandbox is measured too, and taken off

    def test_cpu_time_is_that_of_a_known_burner(self):
        nothing, much = self.known("burn", 0, 1000, options=["--warmup", "0"])
        burnt = much["cpu_usec"]["min"] - nothing["cpu_usec"]["min"]
        self.assertAlmostEqual(burnt, 1e6, delta=1e6 * 0.01 * host.time_scale())
        self.assertGreaterEqual(much["wall_usec"]["min"], 1e6)

    def test_peak_memory_is_that_of_a_known_allocator(self):
        size = 128 << 20
        nothing, much = self.known("allocate", 0, 128)
        used = much["memory_peak_bytes"]["median"] - nothing["memory_peak_bytes"]["median"]
        self.assertAlmostEqual(used, size, delta=size * 0.01)

    def test_written_bytes_are_those_of_a_known_writer(self):
        _, options = self.volume()
        size = 16 << 20
        (found,) = self.known("write", "16 /out/file", runs=2, options=options)
        if found["write_bytes"] is not None:
            self.assertAlmostEqual(found["write_bytes"]["median"], size, delta=size * 0.01)
        else:
            # Version 1's counters stand still on kernels that count only where something is throttled.
            self.assertFalse(os.path.exists("/sys/fs/cgroup/cgroup.controllers"))

    # -- how

    def test_commands_take_turns_in_fresh_sandboxes(self):
        path, options = self.volume()
        script = "[ ! -e /mark ] && echo > /mark && echo %s >> /out/order"
        words = ["sh", "-c", script % "a", "--vs", "--", "sh", "-c", script % "b"]
        found = self.bench(*words, runs=4, options=[*options, "--warmup", "2"])
        self.assertEqual(host.read(path + "/order").split(), list("ababab" "baabba"))
        first, second = found["commands"]
        self.assertEqual([run["position"] for run in first["runs"]], [1, 2, 1, 2])
        self.assertEqual([run["position"] for run in second["runs"]], [2, 1, 2, 1])

    def test_reserved_cores_are_what_the_command_may_use(self):
        path, options = self.volume()
        script = "grep Cpus_allowed_list /proc/self/status > /out/cpus"
        found = self.bench("sh", "-c", script, runs=1, options=["--cores", "1", *options])
        self.assertEqual(host.read(path + "/cpus").split()[1], found["cpus"])
        self.assertIn(int(found["cpus"]), os.sched_getaffinity(0))
        done = self.sandbox("true", options=["--cores", "1024"])
        self.assert_one_line(done, "--cores 1024")

    def test_a_longer_command_is_told_from_a_shorter_one(self):
        script = "i=0; while [ $i -lt %d ]; do i=$((i+1)); done"
        words = ["sh", "-c", script % 10000, "--vs", "--", "sh", "-c", script % 60000]
        ratio = self.bench(*words, runs=8)["commands"][1]["ratio"]["cpu_usec"]
        self.assertGreater(ratio["low"], 1)
        self.assertLessEqual(ratio["low"], ratio["value"])
        self.assertGreaterEqual(ratio["high"], ratio["value"])

    def test_the_statistics_are_those_of_another_computation(self):
        """From the runs that it prints: by Python's own module, and the bootstrap as the document has it."""
        script = "i=0; while [ $i -lt %d ]; do i=$((i+1)); done"
        words = ["sh", "-c", script % 100, "--vs", "--", "sh", "-c", script % 5000]
        first, second = self.bench(*words, runs=9)["commands"]
        for command in (first, second):
            for name, summary in command["summary"].items():
                values = [run[name] for run in command["runs"]]
                if summary is None:
                    self.assertIn(None, values)
                    continue
                cuts = statistics.quantiles(values, n=20, method="inclusive")
                expected = {
                    "min": min(values), "median": statistics.median(values), "p95": cuts[18],
                    "max": max(values), "mean": statistics.fmean(values),
                    "deviation": statistics.stdev(values),
                }  # fmt: skip
                for key, value in expected.items():
                    self.assertAlmostEqual(summary[key], value, delta=1e-9 * (1 + abs(value)), msg=f"{name} {key}")
        for name in COMPARED:
            pairs = [[run[name] for run in command["runs"]] for command in (first, second)]
            if None in pairs[0]:
                continue
            value, low, high = bootstrap(*pairs)
            found = second["ratio"][name]
            self.assertEqual(found["confidence"], 0.95)
            for key, expected in (("value", value), ("low", low), ("high", high)):
                self.assertAlmostEqual(found[key], expected, delta=1e-9 * expected, msg=f"{name} {key}")

    def test_other_load_is_told(self):
        with subprocess.Popen([KNOWN, "burn", "100000"]) as other:
            try:
                found = self.bench("sleep", "1", runs=1, options=["--warmup", "0"])
            finally:
                other.kill()
        self.assertGreater(found["machine"]["other_cpus"], 0.2)
        self.assertIn("other programs kept", " ".join(found["warnings"]))

    # -- how it is shown

    def test_json_has_what_is_documented(self):
        found = self.bench("true", "--vs", "--", "sh", "-c", "exit 0", runs=6)
        self.assertEqual(
            set(found),
            {"version", "image", "digest", "started_unix", "rounds", "warmup", "cpus", "idle"}
            | {"machine", "warnings", "commands"},
        )
        self.assertEqual((found["version"], found["image"], found["rounds"]), (1, "raw", 6))
        self.assertEqual((found["warmup"], found["cpus"], found["idle"]), (1, None, None))
        self.assertEqual(
            set(found["machine"]),
            {"elapsed_usec", "steal", "other_cpus", "idle_threads", "cpu_pressure"}
            | {"memory_pressure", "io_pressure", "slowed_by_heat", "lowest_khz", "highest_khz"},
        )
        for index, command in enumerate(found["commands"]):
            self.assertEqual(set(command), {"command", "failures", "summary", "ratio", "runs"})
            self.assertEqual(list(command["summary"]), COUNTERS)
            self.assertEqual(
                set(command["summary"]["wall_usec"]),
                {"min", "median", "p95", "max", "mean", "deviation"},
            )
            self.assertEqual(len(command["runs"]), 6)
            for number, run in enumerate(command["runs"]):
                self.assertEqual(
                    list(run), ["round", "position", "verdict", "exit_status", *COUNTERS]
                )
                self.assertEqual((run["round"], run["verdict"]), (number + 1, "exited"))
            if index == 0:
                self.assertIsNone(command["ratio"])
        self.assertEqual(found["commands"][1]["command"], ["sh", "-c", "exit 0"])
        ratio = found["commands"][1]["ratio"]
        self.assertEqual(set(ratio), COMPARED)
        self.assertEqual(set(ratio["wall_usec"]), {"value", "low", "high", "confidence"})

    def test_csv_has_a_line_for_each_run(self):
        text = self.output("true", "--vs", "--", "true", options=["-n", "2", "--format", "csv"])
        rows = list(csv.DictReader(io.StringIO(text)))
        head = ["command", "round", "position", "verdict", "exit_status", *COUNTERS]
        self.assertEqual(list(rows[0]), head)
        self.assertEqual([(r["command"], r["round"]) for r in rows], [*zip("1212", "1122")])
        self.assertTrue(all(int(row["wall_usec"]) > 0 for row in rows))

    def test_the_page_is_whole_and_needs_nothing_from_outside(self):
        page = self.directory + "/page.html"
        table = self.output(
            "sh", "-c", ": '<b>&\"'", "--vs", "--", "true", options=["-n", "6", "--html", page]
        )
        self.assertIn("Wall time", table)
        text = host.read(page)
        for word in ("http:", "https:", "<script", "src=", "href=", "@import", "url(", "<b>"):
            self.assertNotIn(word, text)
        document = xml.dom.minidom.parseString(text)
        self.assertEqual(document.documentElement.tagName, "html")
        # Distribution, ratio and series of wall time, CPU time and, where it is told, memory.
        self.assertIn(len(document.getElementsByTagName("svg")), (6, 9))
        titles = [t for t in document.getElementsByTagName("title") if t.parentNode.tagName == "circle"]
        self.assertIn(len(titles), (24, 36))

    def test_a_progress_line_is_on_a_terminal_and_nowhere_else(self):
        master, slave = pty.openpty()
        self.addCleanup(os.close, master)
        words = self.words("true", "--vs", "--", "true", options=["-n", "2"])
        done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, check=True)
        self.assertEqual(done.stderr, b"")
        subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=slave, check=True)
        os.close(slave)
        seen = b""
        with contextlib.suppress(OSError):  # EIO: that was all
            while part := os.read(master, 4096):
                seen += part
        self.assertRegex(seen, rb"^\r\x1b\[K1/6, [0-9]+ s to go  true")
        self.assertTrue(seen.endswith(b"\r\x1b[K6/6, 0 s to go  true\r\x1b[K"), seen)

    # -- how it ends

    def test_a_run_that_fails_ends_it(self):
        for words, options, part in (
            (["sh", "-c", "exit 3"], [], "exit status 3"),
            (["sh", "-c", "kill -9 $$"], [], "signal 9"),
            (["sleep", "60"], ["--wall-time", "200ms"], "limit on wall-time"),
            (["no-such-program"], ["--ignore-failure"], "not found"),
        ):
            self.assert_one_line(self.sandbox(*words, options=options), part)

    def test_failures_can_be_measured(self):
        words = ["sh", "-c", "exit 3", "--vs", "--", "true"]
        found = self.bench(*words, options=["--ignore-failure"])
        self.assertEqual([command["failures"] for command in found["commands"]], [3, 0])
        self.assertEqual([run["exit_status"] for run in found["commands"][0]["runs"]], [3, 3, 3])
        self.assertIn("3 of 3 runs failed: sh -c 'exit 3'", found["warnings"])

    def test_a_wrong_command_line_is_refused(self):
        for words in (["-n", "0"], ["-i"], ["--format", "xml"], ["--cores", "none"]):
            self.assert_one_line(self.sandbox("true", options=words), status=2)

    def test_interrupted_it_leaves_nothing(self):
        path, options = self.volume()
        process = self.popen("sh", "-c", "echo > /out/up; sleep 60", options=options)
        self.assertTrue(host.wait_until(lambda: os.path.exists(path + "/up")))
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(30), -signal.SIGINT)
        self.assert_nothing_runs()


if __name__ == "__main__":
    case.main()
