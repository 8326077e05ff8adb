"""dockless run --copy-in, --copy-out: what is carried, and what a hostile tree cannot do."""

import os
import signal
import stat
import subprocess

from harness import case, host, sandboxes

HOLE = 5 << 30  # more than one copy may have (COPYTREE_BYTES_MAX)
DEEP = 70  # directories, more than COPYTREE_DEPTH_MAX


class RunCopies(sandboxes.RunTest):
    def write(self, name, text="", mode=0o644):
        path = f"{self.directory}/{name}"
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(path, mode)
        return path

    def copy_in(self, source, target):
        return ["--copy-in", f"{self.directory}/{source}:{target}"]

    def copy_out(self, source, target):
        return ["--copy-out", f"{source}:{self.directory}/{target}"]

    # -- in

    def test_what_is_copied_in_is_the_users_and_a_copy(self):
        self.write("tree/bin/tool", "#!/bin/sh\necho tool\n", 0o4755)
        self.write("tree/secret", "mine", 0o600)
        os.symlink("secret", self.directory + "/tree/link")
        os.chown(self.directory + "/tree/secret", 4321, 4321)
        options = self.copy_in("tree", "/work/it") + ["-u", "12:34", "-w", "/work/it"]
        script = "stat -c '%u:%g %a %n' . secret bin/tool; readlink link; cat link; bin/tool; echo x >secret"
        done = self.shell(script, options=options)
        self.assertEqual(
            done.stdout, "12:34 755 .\n12:34 600 secret\n12:34 755 bin/tool\nsecret\nminetool\n"
        )
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(host.read(self.directory + "/tree/secret"), "mine")

    def test_targets_are_those_of_cp(self):
        self.write("tree/file", "tree")
        self.write("one", "one")
        options = self.copy_in("tree", "/tmp") + self.copy_in("tree/.", "/tmp")
        options += self.copy_in("one", "/tmp/tree/two") + self.copy_in("one", "/tmp/file")
        options += self.copy_in("one", "/tmp") + ["--read-only"]
        done = self.shell("cd /tmp; grep -r . . | sort", options=options)
        self.assertEqual(
            done.stdout, "./file:one\n./one:one\n./tree/file:tree\n./tree/two:one\n", done.stderr
        )

    def test_copies_reach_into_volumes_and_file_systems_in_memory(self):
        self.write("one", "one")
        os.mkdir(self.directory + "/volume")
        options = self.copy_in("one", "/v/a/one") + self.copy_in("one", "/t/one") + ["-u", "7"]
        options += ["-v", f"{self.directory}/volume:/v", "--tmpfs", "/t"]
        done = self.shell("stat -c '%u %n' /v/a/one /t/one", options=options)
        self.assertEqual(done.stdout, "7 /v/a/one\n7 /t/one\n", done.stderr)
        self.assertEqual(host.read(self.directory + "/volume/a/one"), "one")

    def test_links_of_the_image_lead_nowhere_else(self):
        """The image is hostile: links, a fifo and a directory where files are to go."""
        root = self.directory + "/root"
        for name in ("bin", "etc"):
            os.makedirs(f"{root}/{name}")
        subprocess.run(["cp", "/usr/bin/busybox", root + "/bin/sh"], check=True)
        victim = self.write("victim", "untouched")
        os.mkdir(self.directory + "/victims")
        os.makedirs(f"{root}{self.directory}/victims")
        os.symlink(self.directory, root + "/way")
        os.symlink("/../../.." + victim, root + "/etc/link")
        os.mkfifo(root + "/etc/fifo")
        self.write("one", "one")
        options = self.copy_in("one", "/way/victims/new") + self.copy_in("one", "/etc/link")
        options += self.copy_in("one", "/etc/fifo")
        script = f"read a </etc/link; read b </etc/fifo; read c <{self.directory}/victims/new; echo $a $b $c"
        done = self.sandbox("/bin/sh", "-c", script, image="rootfs:" + root, options=options)
        self.assertEqual((done.stdout, done.stderr), ("one one one\n", ""))
        self.assertEqual(host.read(victim), "untouched")
        self.assertEqual(os.listdir(self.directory + "/victims"), [])
        self.assertTrue(os.path.islink(root + "/etc/link"))
        self.assertTrue(stat.S_ISFIFO(os.lstat(root + "/etc/fifo").st_mode))
        self.write("tree/fifo/x")
        done = self.sandbox("/bin/sh", image="rootfs:" + root, options=self.copy_in("tree/.", "/etc"))
        self.assertEqual(done.returncode, 125)
        self.assertIn('copy in /etc: "fifo"', done.stderr)

    def test_what_cannot_be_copied_in_keeps_the_command_from_starting(self):
        os.mkfifo(self.directory + "/fifo")
        for options, part in (
            (self.copy_in("missing", "/x"), "missing"),
            (self.copy_in("fifo", "/x"), "copy in /x: neither a file"),
            (self.copy_in("fifo", "/proc/x"), "lies in /proc"),
            (["--copy-in", "/etc:relative"], "--copy-in"),
            (["--copy-in", "/etc"], "--copy-in"),
        ):
            done = self.shell("echo ran", options=options)
            self.assertEqual((done.returncode, done.stdout), (125, ""))
            self.assertIn(part, done.stderr)

    # -- out

    def test_what_is_copied_out_is_the_callers(self):
        script = "mkdir -p /o/d; echo x >/o/d/f; chmod 6755 /o/d/f; ln -s d/f /o/l; chmod 700 /o; exit 3"
        options = self.copy_out("/o", "out") + self.copy_out("/o/d/f", ".") + ["-u", "0"]
        done = self.shell(script, options=options)
        self.assertEqual((done.returncode, done.stderr), (3, ""))
        out = os.lstat(self.directory + "/out/d/f")
        self.assertEqual((out.st_uid, out.st_gid), (os.geteuid(), os.getegid()))
        self.assertEqual(stat.S_IMODE(out.st_mode), 0o755, "no set-id bit for root")
        self.assertEqual(stat.S_IMODE(os.stat(self.directory + "/out").st_mode), 0o700)
        self.assertEqual(os.readlink(self.directory + "/out/l"), "d/f")
        self.assertEqual(host.read(self.directory + "/f"), "x\n")

    def test_a_limit_that_ends_it_leaves_the_files(self):
        options = self.copy_out("/o", "out") + self.copy_out("/t/f", "f")
        options += ["--cpu-time", "200ms", "--tmpfs", "/t", "--disk", "8m"]
        done = self.shell("echo far >/o; echo mem >/t/f; while :; do :; done", options=options)
        self.assertEqual(done.returncode, 124)
        self.assertEqual(host.read(self.directory + "/out"), "far\n")
        self.assertEqual(host.read(self.directory + "/f"), "mem\n")

    def test_what_is_missing_fails_only_a_command_that_did_not_fail(self):
        for script, status in (("exit 0", 125), ("exit 4", 4)):
            options = self.copy_out("/none", "none") + self.copy_out("/etc/passwd", "passwd")
            done = self.shell(script, options=options)
            self.assertEqual(done.returncode, status)
            self.assertIn("copy out /none: there is no such file in the sandbox", done.stderr)
            self.assertIn("/none", done.report["copy_error"])
            self.assertTrue(os.path.exists(self.directory + "/passwd"), "the others are copied")

    def test_a_hostile_tree_stays_in_its_place(self):
        """Links on the way, special files, a link where the host's file is, holes, depth."""
        victim = self.write("victim", "untouched")
        self.write("out/keep", "kept")
        os.symlink(victim, self.directory + "/out/file")
        os.symlink(self.directory, self.directory + "/out/dir")
        script = f"""
            mkdir -p /o/sub; ln -s / /root-link; ln -s {self.directory} /o/away; ln -s /proc /p
            mkfifo /o/fifo; echo new >/o/file; cp /o/file /o/sub/file; ln -s /etc/passwd /link
            truncate -s {HOLE} /hole; d=/deep; mkdir $d; cd $d
            i=0; while [ $i -lt {DEEP} ]; do mkdir d; cd d; i=$((i+1)); done
        """
        options = self.copy_out("/o/.", "out") + self.copy_out("/root-link/o/away/victim", "leak")
        options += self.copy_out("/link", "link")
        done = self.shell(script, options=options)
        self.assertIn("/root-link/o/away/victim: there is no such file", done.stderr)
        self.assertEqual(host.read(victim), "untouched")
        self.assertEqual(sorted(os.listdir(self.directory + "/out")), ["away", "dir", "file", "keep", "sub"])
        self.assertEqual(host.read(self.directory + "/out/file"), "new\n")
        self.assertFalse(os.path.islink(self.directory + "/out/file"))
        self.assertEqual(os.readlink(self.directory + "/link"), "/etc/passwd")
        for i, (path, part) in enumerate((
            ("/o/fifo", "neither a file"),
            ("/p/version", "of the kernel's"),
            ("/hole", "more than"),
            ("/deep", "nested deeper"),
        )):
            done = self.shell(script, options=self.copy_out(path, f"refused{i}"))
            self.assertEqual(done.returncode, 125)
            self.assertIn(part, done.stderr)
        self.assertFalse(os.path.exists(self.directory + "/refused2"), "no half of a file")
        # A link of the host in the way of a directory is not followed.
        done = self.shell("mkdir -p /o/dir; echo x >/o/dir/x", options=self.copy_out("/o/.", "out"))
        self.assertIn("is in the way", done.stderr)
        self.assertFalse(os.path.exists(self.directory + "/x"))

    def test_killed_while_it_copies_out_nothing_is_left(self):
        script = "mkdir /o; i=0; while [ $i -lt 20000 ]; do : >/o/$i; i=$((i+1)); done; echo up"
        process = self.popen(
            "sh", "-c", script, stdout=subprocess.PIPE, options=self.copy_out("/o", "out")
        )
        self.assertEqual(process.stdout.readline(), b"up\n")
        host.wait_until(lambda: os.path.exists(self.directory + "/out"))
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        self.assert_nothing_runs()


if __name__ == "__main__":
    case.main()
