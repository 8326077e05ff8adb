"""`dockless check`: what is said of a fit host, and of faults made for the test."""

import json
import os
import subprocess

from harness import case, host

ALWAYS = {
    "kernel", "sealed program", "namespaces", "ids", "cgroups", "swap", "store", "scratch", "disk limit", "seccomp",
    "nftables", "open files", "processes", "core pattern",
}


class Check(case.SystemTest):
    def check(self, *words, before="", status=0, through=()):
        """The report, by name. BEFORE: shell commands in a mount namespace of their own. THROUGH: a
        program that executes ours."""
        words = [*through, case.DOCKLESS, "check", "--format", "json", "--store", self.directory + "/store",
                 "--tmpdir", self.directory + "/scratch", *words]
        script = f'set -e; mount --make-rprivate /; {before}\nexec "$@"'
        done = subprocess.run(["unshare", "-m", "sh", "-c", script, "sh", *words], capture_output=True,
                              text=True, timeout=60 * host.time_scale(), check=False)
        if status is not None:
            self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        report = json.loads(done.stdout)
        self.assertEqual(report["fit"], done.returncode == 0)
        return {entry["name"]: entry for entry in report["checks"]}

    def assert_told(self, entry, state, *parts):
        self.assertEqual(entry["state"], state, entry)
        for part in parts:
            self.assertIn(part, entry["found"])
        self.assertTrue(entry["why"] and entry["mend"], entry)

    def test_a_fit_host_passes_every_probe(self):
        found = self.check()
        self.assertEqual(set(found), ALWAYS)
        for name in ALWAYS - {"open files", "processes", "core pattern", "kernel", "ids"}:
            self.assertEqual(found[name]["state"], "ok", found[name])
        self.assertEqual(os.listdir(self.directory), ["tasks"])

    def test_text_says_the_same_a_line_each(self):
        done = case.run("check", "--store", self.directory, "--tmpdir", self.directory)
        self.assertEqual(done.returncode, 0, done.stdout)
        lines = [line for line in done.stdout.splitlines() if not line.startswith(" ")]
        self.assertEqual(len(lines), len(ALWAYS))
        self.assertTrue(all(line.split()[0] in ("ok", "warn") for line in lines), lines)

    def overlay(self):
        """Commands that make the test's directory part of an overlay."""
        top = self.directory
        return (f"mkdir -p {top}/o/u {top}/o/w {top}/o/m; mount -t overlay overlay -o "
                f"lowerdir=/usr/share,upperdir={top}/o/u,workdir={top}/o/w {top}/o/m")

    def test_scratch_on_an_overlay_fails(self):
        found = self.check("--tmpdir", self.directory + "/o/m/scratch", before=self.overlay(), status=1)
        self.assert_told(found["scratch"], "fail", "cannot be the upper layer of an overlay")

    def test_an_agent_does_not_start_where_a_probe_fails(self):
        tmpdir = self.directory + "/o/m/scratch"
        words = [case.DOCKLESS, "agent", "--tasks", self.courses.directory, "--tmpdir", tmpdir,
                 "--share-store", "--store", case.shared_store(), "tcp://127.0.0.1:1"]
        script = f'mount --make-rprivate /; {self.overlay()}; exec "$@"'
        done = subprocess.run(["unshare", "-m", "sh", "-c", script, "sh", *words], capture_output=True,
                              text=True, timeout=60 * host.time_scale(), check=False)
        self.assert_one_line(done, "this host is not fit: scratch: ", "mend it by: ")

    def test_a_host_that_cannot_bound_disks_is_told(self):
        found = self.check(before="mount -t tmpfs none /dev; mknod /dev/null c 1 3")
        self.assert_told(found["disk limit"], "warn", "no project quotas", "no loop devices")

    def test_store_without_id_mapped_mounts_fails(self):
        found = self.check("--store", "/proc/store", status=1)
        self.assert_told(found["store"], "fail", "/proc takes no id-mapped mounts")

    def test_subordinate_ids_of_users_are_told(self):
        etc = self.directory + "/etc"
        found = self.check(before=f"cp -a /etc {etc}; printf '%s\\n' root:1000000:1000000000 "
                           f"alice:100000:65536 bob:500000:65536 >{etc}/subuid; mount --bind {etc} /etc")
        self.assert_told(found["ids"], "warn", "to user bob")

    def test_few_descriptors_are_told(self):
        found = self.check(before="ulimit -n 1000")
        self.assert_told(found["open files"], "warn", "at most 1000")

    def test_a_missing_cgroup_tree_fails(self):
        found = self.check(before="umount -l /sys/fs/cgroup", status=1)
        self.assert_told(found["cgroups"], "fail", "cgroup")

    def file_over(self, path, text):
        """Commands that put a file with TEXT in the place of a file of the kernel."""
        return f"printf '%s\\n' '{text}' >{self.directory}/over; mount --bind {self.directory}/over {path}"

    def test_a_core_pattern_that_starts_a_program_is_told(self):
        pattern = "|/usr/lib/systemd/systemd-coredump %P"
        found = self.check(before=self.file_over("/proc/sys/kernel/core_pattern", pattern))
        self.assert_told(found["core pattern"], "warn", pattern)
        self.assertIn("kernel.core_pattern=core", found["core pattern"]["mend"])
        found = self.check(before=self.file_over("/proc/sys/kernel/core_pattern", "core"))
        self.assertEqual(found["core pattern"]["state"], "ok")

    def test_swap_is_told_where_the_kernel_cannot_keep_containers_from_it(self):
        swaps = "Filename\t\tType\nSwapFile /dev/nosuch partition 1000 0 -2"
        swaps = swaps.replace("\n", "' '")  # two arguments of printf: two lines
        # On v2 it depends on the place that the program has.
        accounted = any(
            os.path.exists(directory + "/memory.memsw.limit_in_bytes")
            for directory in self.cgroup.directories
        )
        if not os.path.exists("/proc/swaps"):
            return  # a kernel without
        found = self.check(before=self.file_over("/proc/swaps", swaps), status=0 if accounted else None)
        if accounted or found["swap"]["state"] == "ok":
            self.assertEqual(found["swap"]["state"], "ok")
            self.assertIn("containers get none of it", found["swap"]["found"])
        else:
            self.assert_told(found["swap"], "fail", "cannot keep containers from it")

    def test_a_packet_filter_that_does_not_answer_is_told(self):
        found = self.check(through=["setpriv", "--bounding-set", "-net_admin"])
        self.assert_told(found["nftables"], "warn", "does not answer: ")

    def test_without_root_that_is_the_failure(self):
        words = ["setpriv", "--reuid", "1000", "--regid", "1000", "--clear-groups", case.DOCKLESS]
        done = subprocess.run([*words, "check"], capture_output=True, text=True, timeout=60 * host.time_scale(), check=False)
        self.assertEqual(done.returncode, 1)
        self.assertTrue(done.stdout.startswith("fail  root "), done.stdout + done.stderr)

    def test_wrong_command_lines(self):
        for words in (["--format", "xml"], ["--nope"], ["more"]):
            self.assertEqual(case.run("check", *words).returncode, 2, words)


if __name__ == "__main__":
    case.main()
