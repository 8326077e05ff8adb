"""Runs as the first process of a container of another manager, crun, in the cgroup that it made. For virtual
machines: crun does not work on hybrid hosts, and what is mounted here belongs to nobody else."""

import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "../system"))

from harness import case, host, sandboxes  # noqa: E402

ALL = ["CAP_" + name for name in (
    "AUDIT_WRITE CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID IPC_LOCK KILL LINUX_IMMUTABLE MKNOD NET_ADMIN "
    "NET_BIND_SERVICE NET_RAW SETFCAP SETGID SETPCAP SETUID SYS_ADMIN SYS_CHROOT SYS_NICE SYS_PTRACE SYS_RESOURCE"
).split()]  # fmt: skip
SETTINGS = ("cgroup.subtree_control", "cgroup.procs", "memory.max", "pids.max", "cpu.max")
OWN_MOUNT = {"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": ["rw"]}


class Managed(sandboxes.RunTest):
    def setUp(self):
        super().setUp()
        self.name = f"dockless-managed-{os.getpid()}"
        self.manager = f"{host.CGROUP_ROOT}/{self.name}"
        os.mkdir(self.manager)
        self.addCleanup(os.rmdir, self.manager)
        self.root = self.directory + "/root"
        self.bundle = self.directory + "/bundle"
        os.mkdir(self.root)
        os.mkdir(self.bundle)
        subprocess.run(["mount", "--rbind", "/", self.root], check=True)
        self.addCleanup(subprocess.run, ["umount", "-l", self.root], check=True)

    def crun(self, *words, **keywords):
        return subprocess.run(
            ["crun", "--cgroup-manager=cgroupfs", "--root", self.directory + "/crun", *words],
            check=True, timeout=60 * host.time_scale(), stdin=subprocess.DEVNULL, **keywords,
        )  # fmt: skip

    def create(self, words, namespaces, mounts):
        spec = {
            "ociVersion": "1.0.0",
            "process": {
                "user": {"uid": 0, "gid": 0}, "args": words, "cwd": "/",
                "env": [f"{name}={value}" for name, value in os.environ.items()],
                "capabilities": {kind: ALL for kind in ("bounding", "effective", "permitted")},
            },
            "root": {"path": self.root},
            "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"}, *mounts],
            "linux": {
                "cgroupsPath": f"/{self.name}/theirs",
                "namespaces": [{"type": kind} for kind in ("pid", "mount", *namespaces)],
                "resources": {"memory": {"limit": 512 << 20}},
            },
        }  # fmt: skip
        with open(self.bundle + "/config.json", "w", encoding="utf-8") as file:
            json.dump(spec, file)
        with open(self.directory + "/says", "wb") as says:
            self.crun("create", "--bundle", self.bundle, self.name, stdout=says, stderr=says)

    def outside(self):
        """All cgroups but those below the container's, with what they are set to."""
        found = {}
        for directory, names, _ in os.walk(host.CGROUP_ROOT):
            if directory == self.manager + "/theirs":
                names.clear()
                continue
            for name in SETTINGS:
                if os.path.exists(f"{directory}/{name}"):
                    found[f"{directory}/{name}"] = host.read(f"{directory}/{name}").split()
            # Threads of the kernel come and go; they have no file.
            processes = found.get(directory + "/cgroup.procs", [])
            found[directory + "/cgroup.procs"] = [pid for pid in processes if os.path.exists(f"/proc/{pid}/exe")]
            names.sort()
        for name in ("memory.max", "pids.max", "cpu.max"):
            found[name] = host.read(f"{self.manager}/theirs/{name}")
        return found

    def below(self):
        return sorted(directory for directory, _, _ in os.walk(self.manager + "/theirs"))[1:]

    def check(self, namespaces, mounts):
        volume = self.directory + "/volume"
        os.mkdir(volume)
        os.chmod(volume, 0o777)
        # Small enough to be made, and over its limit in the end.
        script = "echo x >/v/started; while ! [ -e /v/go ]; do sleep 0.1; done; dd if=/dev/zero of=/dev/null bs=100M"
        options = ["--memory", "32m", "--wall-time", "600", "--volume", volume + ":/v"]
        self.create(self.words("sh", "-c", script, options=options), namespaces, mounts)
        self.maxDiff = None
        before = self.outside()
        self.crun("start", self.name)
        self.addCleanup(self.crun, "delete", "--force", self.name)
        started = host.wait_until(lambda: os.path.exists(volume + "/started"), 30)
        with open(self.directory + "/says", encoding="utf-8") as says:
            self.assertTrue(started, says.read())
        below = self.below()
        names = [os.path.relpath(path, self.manager + "/theirs").split("/")[0] for path in below]
        self.assertTrue(names)
        self.assertTrue(all(name.startswith("dockless-") for name in names), below)
        limits = [host.read(path + "/memory.max").strip() for path in below]
        self.assertIn(str(32 << 20), limits, below)
        during = self.outside()
        with open(volume + "/go", "w", encoding="utf-8"):
            pass
        self.assertTrue(host.wait_until(lambda: self.state() == "stopped", 30))
        report = self.take_report()
        self.assertEqual(report["verdict"], "out-of-memory", report)
        # The container is not deleted yet: its cgroup is there, as it was made.
        self.assertTrue(os.path.exists(self.manager + "/theirs"))
        self.assertEqual(self.below(), [])
        for after in (during, self.outside()):
            self.assertEqual(before, after)

    def state(self):
        return json.loads(self.crun("state", self.name, capture_output=True).stdout)["status"]

    def test_a_run_finds_its_place_in_a_cgroup_namespace(self):
        self.check(["cgroup"], [OWN_MOUNT])

    def test_a_run_finds_its_place_where_only_its_own_cgroup_is_mounted(self):
        self.check([], [OWN_MOUNT])

    def test_a_run_finds_its_place_where_the_hosts_whole_tree_is_mounted(self):
        self.check([], [])


if __name__ == "__main__":
    case.main()
