"""dockless image pack and export that end before they are done: the target is as before, and what
was written to is taken away, at once or by the next one."""

import glob
import json
import os
import resource
import signal
import subprocess

from harness import case, host, stores, trees
from harness.layers import archive, entry

FORMS = ("oci:%s:v1", "oci-archive:%s:v1", "docker-archive:%s:x:v1", "dir:%s")
PART = ".dockless-part.*"


class Killed(stores.StoreTest):
    def setUp(self):
        super().setUp()
        # A hole this large cannot be packed before it is killed, and takes no space.
        self.endless = self.tree_of("endless", hole=1 << 40)
        self.small = self.tree_of("small", text=b"content\n")
        self.place = self.directory + "/place"
        os.mkdir(self.place)

    def tree_of(self, name, hole=0, text=b"", random=0):
        root = f"{self.directory}/{name}"
        os.mkdir(root)
        with open(root + "/file", "wb") as file:
            file.write(text + os.urandom(random))
            if hole:
                file.truncate(hole)
        return root

    def started(self, target, root=None):
        """A writer that has begun and is not done for a long time."""
        before = set(self.parts())
        writer = subprocess.Popen([case.DOCKLESS, "image", "pack", root or self.endless, target],
                                  stdout=subprocess.DEVNULL)
        self.addCleanup(writer.wait)
        self.addCleanup(writer.kill)
        self.assertTrue(host.wait_until(lambda: set(self.parts()) - before))
        self.assertIsNone(writer.poll())
        return writer

    def parts(self):
        return [path for where in (self.place, self.place + "/*") for path in glob.glob(f"{where}/{PART}")]

    def pack(self, target, *roots, code=0, **options):
        done = case.run("image", "pack", "--format", "json", *roots, target, **options)
        self.assertEqual(done.returncode, code, done.stderr)
        return json.loads(done.stdout) if code == 0 else done.stderr

    def seen(self):
        """All there is, but for when directories were last used."""
        return {path: {**about, "mtime": about["type"] == "directory" or about["mtime"]}
                for path, about in trees.tree(self.place).items()}

    # -- what is left

    def test_a_writer_that_is_asked_to_end_leaves_nothing(self):
        self.pack(f"oci:{self.place}/there:v1", self.small)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            for form in FORMS if number == signal.SIGTERM else FORMS[:1]:
                for name in ("new", "there") if form.startswith("oci:") else ("new",):
                    before = self.seen()
                    writer = self.started(form % f"{self.place}/{name}")
                    writer.send_signal(number)
                    self.assertEqual(writer.wait(), -number)
                    self.assertEqual(self.seen(), before, form)

    def test_an_export_that_is_asked_to_end_leaves_nothing(self):
        self.loaded(self.image(archive(entry("file", data=b"x"))).write_all())
        layer = glob.glob(f"{self.store}/layers/*/file")[0]
        os.truncate(layer, 1 << 40)
        target = f"oci-archive:{self.place}/new"
        words = ["image", "export", "--store", self.store, "test", target]
        writer = subprocess.Popen([case.DOCKLESS, *words], stdout=subprocess.DEVNULL)
        self.addCleanup(writer.kill)
        self.assertTrue(host.wait_until(self.parts))
        writer.terminate()
        self.assertEqual(writer.wait(), -signal.SIGTERM)
        self.assertEqual(os.listdir(self.place), [])

    def test_what_a_killed_writer_left_goes_with_the_next(self):
        self.pack(f"oci:{self.place}/there:v0", self.small)
        for form in FORMS:
            for name in ("new", "there") if form.startswith("oci:") else ("new",):
                before = self.seen()
                target = form % f"{self.place}/{name}"
                writer = self.started(target)
                writer.kill()
                writer.wait()
                self.assertEqual(len(self.parts()), 1)
                now = self.seen()
                left = os.path.relpath(self.parts()[0], self.place)
                self.assertEqual({path: about for path, about in now.items() if not path.startswith(left)}, before)
                self.pack(target, self.small)
                self.assertEqual(self.parts(), [])
                self.loaded(target, "--name", "x")
                if name == "new":
                    subprocess.run(["rm", "-r", f"{self.place}/new"], check=True)

    def test_a_living_writer_keeps_its_part(self):
        writer = self.started(f"oci-archive:{self.place}/one")
        part = self.parts()
        self.pack(f"oci-archive:{self.place}/two", self.small)
        self.assertEqual(self.parts(), part)
        writer.terminate()
        writer.wait()
        self.assertEqual(os.listdir(self.place), ["two"])

    def test_files_of_others_stay(self):
        for name, owner in ((".dockless-part.1.0", 12345), (".part.1", 0), (".dockless-parts", 0)):
            with open(f"{self.place}/{name}", "w", encoding="ascii"):
                os.chown(f"{self.place}/{name}", owner, 0)
        os.symlink(self.small, self.place + "/.dockless-part.2.0")
        before = sorted(os.listdir(self.place))
        self.pack(f"oci-archive:{self.place}/z", self.small)
        self.assertEqual(sorted(os.listdir(self.place)), before + ["z"])
        self.assertEqual(os.listdir(self.small), ["file"])

    # -- at every moment

    def test_killed_at_every_write_a_layout_is_whole_or_as_before(self):
        """The kernel ends the writer at a chosen size of a file: in each of them in turn."""
        layout = self.place + "/there"
        for n in range(4):
            self.pack(f"oci:{layout}:some-image-of-that-layout-{n}", self.small)
        index = self.seen()["there/index.json"]
        stages = set()

        def limit(size):
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

        for size in (0, 100, 250, 400, 600):
            done = subprocess.run(
                [case.DOCKLESS, "image", "pack", "--label", "l=" + "x" * 100, self.small, f"oci:{layout}:v{size}"],
                check=False, capture_output=True, text=True, preexec_fn=lambda size=size: limit(size))
            self.assertEqual(done.returncode, -signal.SIGXFSZ, done.stderr)
            self.assertEqual(self.seen()["there/index.json"], index)
            stages.add(sum(len(names) for _, _, names in os.walk(self.parts()[0])))
        self.assertEqual(stages, {1, 2, 3, 4}, "in the layer, the configuration, the manifest, the index")
        told = self.pack(f"oci:{layout}:v", self.small)
        self.assertEqual(self.parts(), [])
        for name in ("some-image-of-that-layout-0", "v"):
            self.assertEqual(self.loaded(f"oci:{layout}:{name}")["digest"], told["digest"])

    # -- full disks

    def test_a_full_disk_leaves_the_target_as_it_was(self):
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", self.place], check=True)
        self.addCleanup(subprocess.run, ["umount", self.place], check=True)
        large = self.tree_of("large", random=2 << 20)
        self.pack(f"oci:{self.place}/there:v1", self.small)
        for form in FORMS:
            for name in ("new", "there") if form.startswith("oci:") else ("new",):
                before = self.seen()
                error = self.pack(form % f"{self.place}/{name}", large, code=1)
                self.assertIn("No space left on device", error)
                self.assertEqual(len(error.splitlines()), 1)
                self.assertEqual(self.seen(), before)
        self.loaded(f"oci:{self.place}/there:v1")


if __name__ == "__main__":
    case.main()
