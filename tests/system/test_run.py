"""dockless run: the command, its surroundings, its end."""

import json
import os
import signal
import stat
import subprocess

from harness import case, host, images, sandboxes

# Docker's fourteen (00000000a80425fb) without CAP_CHOWN (0) and CAP_NET_RAW (13).
CAPABILITIES_LEFT = "00000000a80405fa"

# Through standard input; far less where everything takes longer.
STREAM = (2 << 30) // (1 if host.time_scale() == 1 else 32)
MEBIBYTE = 1 << 20

# What tells of an error of the process itself, its children or its terminal; SIGTSTP stops.
OWN_SIGNALS = {
    signal.SIGKILL, signal.SIGSTOP, signal.SIGTSTP, signal.SIGTERM, signal.SIGILL, signal.SIGTRAP,
    signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGSEGV, signal.SIGSYS, signal.SIGPIPE,
    signal.SIGCHLD, signal.SIGTTIN, signal.SIGTTOU,
}  # fmt: skip


class Run(sandboxes.RunTest):
    # -- the end

    def test_exit_status_is_that_of_the_command(self):
        for script, status in (("exit 0", 0), ("exit 7", 7), ("exit 255", 255)):
            done = self.shell(script)
            self.assertEqual((done.returncode, done.stderr), (status, ""))
            self.assertEqual(done.report["verdict"], "exited")
            self.assertEqual(done.report["exit_code"], status)

    def test_a_command_that_dies_of_a_signal_ends_with_128_and_its_number(self):
        for number in (signal.SIGKILL, signal.SIGABRT, signal.SIGSEGV):
            done = self.shell(f"kill -{int(number)} $$")
            self.assertEqual(done.returncode, 128 + number)
            self.assertEqual(done.report["verdict"], "signalled")
            self.assertEqual(done.report["signal"], number)
            self.assertIsNone(done.report["exit_code"])

    def test_what_cannot_be_run_is_told_from_what_is_not_there(self):
        missing = self.sandbox("no-such-program")
        self.assertEqual(missing.returncode, 127)
        self.assertIn('"no-such-program": not found', missing.stderr)
        refused = self.sandbox("/etc/passwd", options=["-u", "1000"])
        self.assertEqual(refused.returncode, 126)
        self.assertEqual(refused.report["error"]["step"], "execve")

    def test_our_own_errors_are_125_and_one_line(self):
        for options, image, part in (
            ([], "no-such-image", "no-such-image"),
            (["--volume", "/no/such/source:/x"], "raw", "/no/such/source"),
            (["--volume", "relative:target"], "raw", "--volume"),
            (["--cpu-time", "soon"], "raw", "--cpu-time"),
            (["--disk-by", "luck"], "raw", "--disk-by is auto, quota or image"),
            (["--publish", "8080:80"], "raw", "--publish needs --network nat"),
            (["--volume", "/etc/passwd:/x:overlay"], "raw", "only a directory can be an overlay"),
            (["--no-such-option"], "raw", ""),
        ):
            done = self.sandbox("true", image=image, options=options)
            self.assertEqual(done.returncode, 125, done.stderr)
            self.assertIn(part, done.stderr)
        self.assertEqual(self.sandbox("true", image="no-such-image").report["exit_status"], 125)

    def test_a_limit_that_ends_it_is_124_and_named(self):
        for option, script, name in (
            (["--wall-time", "200ms"], "sleep 600", "wall-time"),
            (["--cpu-time", "0.2"], "while :; do :; done", "cpu-time"),
            (["--memory", "16m"], "x=$(yes)", "memory"),
        ):
            done = self.shell(script, options=option)
            self.assertEqual(done.returncode, 124, (name, done.stderr))
            self.assertEqual(done.stderr, f"dockless run: ended by its limit on {name}\n")
            self.assertEqual((done.report["limit"], done.report["exit_status"]), (name, 124))

    def test_the_report_can_go_to_a_descriptor(self):
        read, write = os.pipe()
        with os.fdopen(read) as reader:
            words = self.words("true", options=["--report", f"fd:{write}"])
            subprocess.run(words, pass_fds=[write], check=True, stdin=subprocess.DEVNULL)
            os.close(write)
            self.assertIn('"version":1', reader.read())

    def test_the_report_can_follow_the_output_and_the_most_important_of_it_be_told(self):
        done = self.sandbox("echo", "first", options=["--report", "-", "--verbose"])
        first, report = done.stdout.splitlines()
        self.assertEqual((first, json.loads(report)["verdict"]), ("first", "exited"))
        self.assertRegex(done.stderr, r"dockless run: exited after [0-9.]+ s, [0-9.]+ s user, ")

    # -- signals

    def test_signals_are_handed_on(self):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            process = self.popen("sh", "-c", "echo up; sleep 600", stdout=subprocess.PIPE)
            self.assertEqual(process.stdout.readline(), b"up\n")
            process.send_signal(number)
            self.assertEqual(process.wait(30 * host.time_scale()), 128 + number)
            process.stdout.close()

    def test_a_command_that_handles_signals_gets_each_and_goes_on(self):
        numbers = sorted(signal.valid_signals() - OWN_SIGNALS)
        traps = "".join(f"trap 'echo {int(number)}' {int(number)}; " for number in numbers)
        script = traps + "trap 'exit 3' TERM; echo up; while :; do sleep 0.02; done"
        process = self.popen("sh", "-c", script, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.assertEqual(process.stdout.readline(), b"up\n")
        for number in numbers:
            process.send_signal(number)
            self.assertEqual(process.stdout.readline(), b"%d\n" % number)
        process.terminate()
        self.assertEqual(process.wait(30 * host.time_scale()), 3)
        process.stdout.close()

    def test_orphans_are_collected_by_the_first_process(self):
        script = """
            echo $$ $(cat /proc/1/comm); i=0; while [ $i -lt 20 ]; do sh -c ': & :'; i=$((i+1)); done
            while grep -q 'State:.Z' /proc/[0-9]*/status; do sleep 0.02; done
        """
        self.assertEqual(self.output("sh", "-c", script), "2 init\n")

    def test_the_first_process_has_a_filter_of_its_own(self):
        """Loaded beside the command's start; that inherits neither it nor what goes with it."""
        script = """
            i=0
            while [ $i -lt 300 ] && ! grep -q 'Seccomp:.2' /proc/1/status; do sleep 0.02; i=$((i+1)); done
            grep -E '^(NoNewPrivs|CapBnd|Seccomp)' /proc/1/status | cut -f 2
            sh -c 'kill -9 $$'; echo $?
        """
        self.assertEqual(self.output("sh", "-c", script), f"{1 << 5:016x}\n1\n2\n1\n137\n")

    def test_killed_itself_it_takes_everything_along(self):
        process = self.popen("sh", "-c", "echo up; sleep 600", stdout=subprocess.PIPE)
        self.assertEqual(process.stdout.readline(), b"up\n")
        process.kill()
        process.wait()
        process.stdout.close()
        self.assert_nothing_runs()

    # -- surroundings

    def test_the_command_sees_what_it_was_given(self):
        env_file = self.directory + "/env"
        with open(env_file, "w", encoding="utf-8") as file:
            file.write("# comment\nA=file\nB=file\n\nFROM_CALLER\n")
        options = ["--env-file", env_file, "-e", "B=option", "-w", "/work/dir", "-u", "12:34"]
        options += ["--hostname", "box"]
        with_caller = dict(os.environ, FROM_CALLER="x y")
        script = 'echo "$A $B $FROM_CALLER $HOSTNAME"; pwd; id -u; id -g; hostname'
        done = self.shell(script, options=options, env=with_caller)
        self.assertEqual(done.stdout, "file option x y box\n/work/dir\n12\n34\nbox\n")

    def test_a_file_of_variables_is_read_as_docker_reads_it(self):
        env_file = self.directory + "/env"
        lines = b"\xef\xbb\xbfA=1\r\n  # none\r\n\r\n\tB= two # \"three\" \nC=\n=D\n"
        with open(env_file, "wb") as file:
            file.write(lines.removesuffix(b"=D\n"))
        script = 'echo "<$A|$B|${C-unset}>"'
        done = self.shell(script, options=["--env-file", env_file])
        self.assertEqual(done.stdout, '<1| two # "three" |>\n', done.stderr)
        for line, text in ((b"A B=1\n", "line 1: a variable's name has no blanks"), (lines, '"=D"')):
            with open(env_file, "wb") as file:
                file.write(line)
            done = self.sandbox("true", options=["--env-file", env_file])
            self.assertEqual(done.returncode, 125)
            self.assertIn(text, done.stderr)

    def test_a_file_that_cannot_be_mapped_is_given_read_only(self):
        """/proc knows no id mappings, and is there on every host."""
        options = ["-u", "5", "-v", "/proc/version:/v:ro"]
        done = self.shell("cat /v; stat -c '%u %a' /v; echo x >>/v", options=options)
        self.assertEqual(done.stdout, host.read("/proc/version") + "0 444\n", done.stderr)
        self.assertEqual(done.returncode, 1)
        done = self.sandbox("true", options=["-v", "/proc/version:/v"])
        self.assertEqual(done.returncode, 125)
        self.assertIn("cannot map ids: it can only be given read-only", done.stderr)

    def test_volumes_are_writable_read_only_or_an_overlay(self):
        for name in ("rw", "ro", "overlay"):
            os.mkdir(f"{self.directory}/{name}")
            with open(f"{self.directory}/{name}/file", "w", encoding="utf-8") as file:
                file.write(name)
        options = [
            "-v", f"{self.directory}/rw:/v/rw",
            "-v", f"{self.directory}/ro:/v/ro:ro",
            "-v", f"{self.directory}/overlay:/v/overlay:overlay",
            "-v", f"{self.directory}/ro/file:/v/file:ro",
        ]  # fmt: skip
        script = "cat /v/file /v/*/file; for i in rw ro overlay; do echo new >/v/$i/file; done; id -u"
        done = self.shell(script, options=options)
        self.assertEqual(done.stdout, "rooverlayrorw0\n")
        self.assertIn("Read-only file system", done.stderr)
        contents = [host.read(f"{self.directory}/{name}/file") for name in ("rw", "ro", "overlay")]
        self.assertEqual(contents, ["new\n", "ro", "overlay"])
        self.assertEqual(os.stat(self.directory + "/rw/file").st_uid, 0)

    def test_a_directory_can_be_the_root(self):
        root = self.directory + "/root"
        subprocess.run(["mkdir", "-p", root + "/bin"], check=True)
        subprocess.run(["cp", "/usr/bin/busybox", root + "/bin/busybox"], check=True)
        words = ["/bin/busybox", "sh", "-c", "echo changed >/bin/new && /bin/busybox ls /bin"]
        self.assertEqual(self.output(*words, image="rootfs:" + root), "busybox\nnew\n")
        self.assertEqual(os.listdir(root + "/bin"), ["busybox"])

    def test_a_reference_is_loaded_on_its_first_use(self):
        layout, store = self.directory + "/layout", self.directory + "/store"
        images.Layout(layout).add("mine", [images.layer(images.busybox_files())], {}, Cmd=["sh"])
        for _ in range(2):
            words = ["echo", "hello"]
            options = ["--store", store]
            self.assertEqual(
                self.output(*words, image=f"oci:{layout}:mine", options=options), "hello\n"
            )
        self.assertEqual(self.output("echo", "by name", image="mine", options=options), "by name\n")

    # -- standard streams

    def test_input_arrives_and_its_end_is_seen(self):
        done = self.sandbox("wc", "-c", options=["-i"], input=b"x" * 100000, text=False)
        self.assertEqual(done.stdout, b"100000\n")
        self.assertEqual(self.sandbox("wc", "-c", input="ignored").stdout, "0\n")

    def test_gigabytes_stream_through_without_loss(self):
        source = subprocess.Popen(["head", "-c", str(STREAM), "/dev/zero"], stdout=subprocess.PIPE)
        process = self.popen(
            "cat", options=["-i", "-m", "64m"], stdin=source.stdout, stdout=subprocess.PIPE
        )
        source.stdout.close()
        count = subprocess.run(
            ["wc", "-c"], stdin=process.stdout, capture_output=True, text=True, check=True
        )
        process.stdout.close()
        self.assertEqual(int(count.stdout), STREAM)
        self.assertEqual((source.wait(), process.wait()), (0, 0))

    def test_what_we_carry_ourselves_arrives_whole(self):
        """A file that is open in both directions is not given to the command: the bytes are moved, in
        parts where the command's reader is behind."""
        source = self.directory + "/source"
        with open(source, "wb") as file:
            file.write(os.urandom(32 * MEBIBYTE))
        with open(source, "r+b") as file, open(self.directory + "/target", "w+b") as target:
            process = self.popen(
                "dd", "bs=5000", options=["-i"], stdin=file, stdout=target, stderr=subprocess.DEVNULL
            )
            self.assertEqual(process.wait(60 * host.time_scale()), 0)
        subprocess.run(["cmp", source, self.directory + "/target"], check=True)

    def test_what_is_written_is_seen_at_once_and_in_order(self):
        process = self.popen("cat", options=["-i"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for i in range(200):
            process.stdin.write(b"%d\n" % i)
            process.stdin.flush()
            self.assertEqual(process.stdout.readline(), b"%d\n" % i)
        process.stdin.close()
        self.assertEqual(process.wait(30 * host.time_scale()), 0)
        process.stdout.close()

    def test_output_and_disk_are_bounded_where_asked(self):
        done = self.shell("yes", options=["--output-limit", "10k"])
        self.assertEqual((done.returncode, done.report["limit"]), (124, "output"))
        self.assertEqual(len(done.stdout), 10240)
        done = self.shell("dd if=/dev/zero of=/file bs=64k count=64", options=["--disk", "2m"])
        self.assertEqual(done.returncode, 1)
        self.assertIn("No space left on device", done.stderr)

    def test_a_disk_is_bounded_by_what_was_chosen_or_not_at_all(self):
        """On a scratch without quotas; with them: tests/vm/test_quota.py."""
        image = self.shell("df -k / | tail -n 1", options=["--disk", "2m", "--disk-by", "image"])
        self.assertEqual((image.returncode, image.stderr), (0, ""))
        done = self.shell("echo fine", options=["--disk", "2m", "--disk-by", "quota"])
        self.assertEqual((done.returncode, done.stdout), (125, ""))
        self.assertIn("no project quotas", done.stderr)

    # -- what a request can ask for beyond

    def test_a_read_only_root_takes_no_changes_but_its_mounts_do(self):
        options = ["--read-only", "--tmpfs", "/tmp:size=1m,mode=1770"]
        script = "echo x >/file; echo y >/tmp/file && cat /tmp/file; stat -c %a /tmp; df -k /tmp | tail -n 1"
        done = self.shell(script, options=options)
        words = done.stdout.split()
        self.assertEqual((words[:2], words[3]), (["y", "1770"], "1024"))
        self.assertIn("Read-only file system", done.stderr)

    def test_tasks_processor_time_and_shared_memory_are_bounded_where_asked(self):
        script = "i=0; while [ $i -lt 9 ]; do sleep 60 & i=$((i+1)); done"
        done = self.shell(script, options=["--pids-limit", "6"])
        self.assertIn("fork", done.stderr)
        self.assertLessEqual(done.report["usage"]["tasks_peak"] or 6, 6)
        script = "df -k /dev/shm | tail -n 1; i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done"
        done = self.shell(script, options=["--shm-size", "1m", "--cpus", "0.1"])
        self.assertEqual(done.stdout.split()[1], "1024")
        self.assertGreater(done.report["usage"]["throttled_usec"], 0)

    def test_a_command_is_on_the_cpus_that_were_asked_for(self):
        last = max(os.sched_getaffinity(0))
        if "cpuset" not in host.read("/proc/cgroups"):
            done = self.sandbox("true", options=["--cpuset-cpus", str(last)])
            self.assertEqual(done.returncode, 125, done.stderr)
            self.assertIn("cpus", done.stderr)
            return
        script = "grep Cpus_allowed_list /proc/self/status; nproc; read x"
        process = self.popen(
            "sh", "-c", script, options=["-i", "--cpuset-cpus", str(last)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        self.assertEqual(process.stdout.readline().split()[-1], b"%d" % last)
        self.assertEqual(process.stdout.readline(), b"1\n")
        (command,) = [pid for pid in host.descendants(process.pid) if host.read(f"/proc/{pid}/comm") == "sh\n"]
        self.assertEqual(os.sched_getaffinity(command), {last})
        groups = [line.split(":", 2) for line in host.read(f"/proc/{command}/cgroup").splitlines()]
        places = [f"/sys/fs/cgroup/cpuset{path}" for _, name, path in groups if name == "cpuset"]
        places += [f"/sys/fs/cgroup{path}" for _, name, path in groups if name == ""]
        self.assertEqual(host.read(places[0] + "/cpuset.cpus").strip(), str(last))
        process.communicate(b"\n")
        done = self.sandbox("true", options=["--cpuset-cpus", f"{last},1023"])
        self.assert_one_line(done, f"CPUs {last},1023: there are only ", status=125)

    def test_set_user_id_programs_can_be_disarmed(self):
        script = "grep NoNewPrivs /proc/self/status"
        self.assertEqual(self.output("sh", "-c", script).split()[1], "0")
        options = ["--security-opt", "no-new-privileges"]
        self.assertEqual(self.output("sh", "-c", script, options=options).split()[1], "1")

    def test_capabilities_and_resource_limits_are_as_asked(self):
        options = ["--cap-drop", "net_raw", "--cap-drop", "CAP_CHOWN"]
        options += ["--ulimit", "nofile=64:128", "--ulimit", "fsize=1024"]
        script = "grep -E 'CapEff|CapBnd' /proc/self/status; grep -E 'Max open files|Max file size' /proc/self/limits"
        lines = self.shell(script, options=options).stdout.split("\n")
        self.assertEqual([line.split()[-1] for line in lines[:2]], [CAPABILITIES_LEFT] * 2)
        self.assertEqual(lines[2].split()[3:5], ["1024", "1024"])
        self.assertEqual(lines[3].split()[3:5], ["64", "128"])
        none = self.shell("grep CapEff /proc/self/status", options=["--cap-drop", "all"]).stdout
        self.assertEqual(none.split()[-1], "0" * 16)
        bad = self.sandbox("true", options=["--ulimit", "nofile=3:2"])
        self.assertEqual(bad.returncode, 125)

    def test_changes_of_an_overlay_can_be_kept(self):
        source, keep = self.directory + "/source", self.directory + "/keep"
        os.mkdir(source)
        for name in ("same", "changed", "removed"):
            with open(f"{source}/{name}", "w", encoding="utf-8") as file:
                file.write("old")
        options = ["-v", f"{source}:/v:overlay", "--keep-changes", keep]
        self.shell("cd /v && echo new >changed && rm removed && echo made >made", options=options)
        self.assertEqual(sorted(os.listdir(source)), ["changed", "removed", "same"])
        upper = keep + "/0/upper"
        self.assertEqual(sorted(os.listdir(upper)), ["changed", "made", "removed"])
        self.assertEqual(host.read(upper + "/changed"), "new\n")
        self.assertEqual(os.stat(upper + "/made").st_uid, 0)
        gone = os.stat(upper + "/removed")
        self.assertTrue(stat.S_ISCHR(gone.st_mode) and gone.st_rdev == 0)
        # The next run goes on from there.
        done = self.shell("cd /v && cat changed made && ls", options=options)
        self.assertEqual(done.stdout, "new\nmade\nchanged\nmade\nsame\n")

    def test_a_profile_of_system_calls_applies_to_the_command(self):
        profile = self.directory + "/profile.json"
        calls = {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28}
        with open(profile, "w", encoding="utf-8") as file:
            json.dump({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [calls]}, file)
        done = self.sandbox("mkdir", "/x", options=["--security-opt", f"seccomp={profile}"])
        self.assertEqual(done.returncode, 1)
        self.assertIn("No space left on device", done.stderr)


if __name__ == "__main__":
    case.main()
