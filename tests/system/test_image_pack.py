"""dockless image pack and export, root file systems as images, and round trips with other tools."""

import json
import os
import random
import shutil
import socket
import subprocess

from harness import case, images, layers, stores, trees
from harness.layers import archive, directory, entry

CAPABILITY = bytes.fromhex("0100000202000000000000000000000000000000")


def odd_tree(root):
    """One of every kind of file that an image can have."""
    os.makedirs(f"{root}/etc/deep/er")
    os.makedirs(root + "/tmp")
    os.chmod(root + "/tmp", 0o1777)
    files = {
        "etc/passwd": b"root:x:0:0::/:/bin/sh\n",
        "empty": b"",
        "big": random.Random(1).randbytes(3_000_001),
        "block": b"b" * 512,
        "x" * 99: b"99",
        "x" * 101: b"101",
        "etc/deep/er/" + "y" * 255: b"long",
    }
    for name, data in files.items():
        with open(f"{root}/{name}", "wb") as file:
            file.write(data)
    with open(os.fsencode(root) + b"/caf\xe9 \n", "wb") as file:
        file.write(b"bytes")
    os.link(root + "/big", root + "/etc/hard")
    os.link(root + "/big", root + "/etc/hard2")
    os.symlink("/etc/" + "z" * 200, root + "/far")
    os.symlink("passwd", root + "/etc/link")
    os.mkfifo(root + "/fifo", 0o640)
    with open(root + "/sparse", "wb") as file:
        file.seek(1_000_000)
        file.write(b"end")
        file.truncate(2_000_000)
    os.setxattr(root + "/etc/passwd", "security.capability", CAPABILITY)
    os.chown(root + "/empty", 5, 65535)
    os.chmod(root + "/empty", 0o6711)
    os.chown(root + "/far", 7, 8, follow_symlinks=False)
    for number, (path, _, names) in enumerate(os.walk(root, topdown=False)):
        for name in names:
            os.utime(os.path.join(path, name), ns=(0, 1_600_000_000_123_456_789 + number), follow_symlinks=False)
        os.utime(path, ns=(0, 1_500_000_000_000_000_000 + number))
    os.utime(root + "/block", ns=(0, -1_500_000_000))
    return root


class Pack(stores.StoreTest):
    def pack(self, *words, code=0):
        done = case.run("image", "pack", "--format", "json", *words)
        self.assertEqual(done.returncode, code, done.stderr)
        return json.loads(done.stdout) if code == 0 else done.stderr

    def out(self, name="out"):
        return f"oci:{self.directory}/{name}:v1"

    def odd(self):
        return odd_tree(self.directory + "/odd")

    def check(self, image, tree):
        self.assertEqual(trees.difference(trees.of_image(self.store, image), trees.tree(tree)), [])

    # -- what is packed

    def test_the_same_tree_gives_the_same_digest(self):
        root = self.odd()
        copy = self.directory + "/copy"
        subprocess.run(["cp", "-a", root, copy], check=True)
        digests = {self.pack(tree, self.out(name))["digest"] for tree, name in ((root, "a"), (root, "a"), (copy, "b"))}
        self.assertEqual(len(digests), 1)
        with open(root + "/empty", "wb") as file:
            file.write(b"x")
        os.utime(root + "/empty", ns=(0, 1_600_000_000_000_000_000))
        self.assertNotIn(self.pack(root, self.out("a"))["digest"], digests)

    def test_what_is_packed_is_what_is_loaded(self):
        root = self.odd()
        for how in ("zstd", "none"):
            self.pack("--compression", how, "--created", "2000000000", root, self.out(how))
            self.check(self.loaded(self.out(how), "--name", how), root)

    def test_later_times_become_that_of_creation(self):
        root = self.directory + "/tree"
        os.mkdir(root)
        for name, mtime in (("old", 10), ("new", 2000)):
            with open(f"{root}/{name}", "wb"):
                pass
            os.utime(f"{root}/{name}", (mtime, mtime))
        self.pack("--created", "1000", root, self.out())
        loaded = self.loaded(self.out())
        seen = trees.of_image(self.store, loaded)
        self.assertEqual([seen[name]["mtime"] // 10**9 for name in ("old", "new")], [10, 1000])
        self.assertEqual(loaded["created"], "1970-01-01T00:16:40Z")
        by_environment = case.run("image", "pack", "--format", "json", root, self.out("other"),
                                  env=os.environ | {"SOURCE_DATE_EPOCH": "1000"})
        self.assertEqual(json.loads(by_environment.stdout)["digest"], loaded["digest"])

    def test_the_configuration(self):
        root = self.directory + "/tree"
        os.mkdir(root)
        options = "--cmd sh --cmd -c --entrypoint /init --env A=b=c --env B= --label x.y=z --label x.y=w"
        self.pack(*options.split(), "--workdir", "/w", "--user", "5:6", root, self.out())
        loaded = self.loaded(self.out())
        self.assertEqual((loaded["cmd"], loaded["entrypoint"]), (["sh", "-c"], ["/init"]))
        self.assertEqual((loaded["env"], loaded["labels"]), (["A=b=c", "B="], {"x.y": "w"}))
        self.assertEqual((loaded["working_dir"], loaded["user"]), ("/w", "5:6"))

    def test_several_trees_are_layers(self):
        for name in ("low", "high"):
            os.mkdir(f"{self.directory}/{name}")
            for file in (name, "both"):
                with open(f"{self.directory}/{name}/{file}", "w", encoding="ascii") as written:
                    written.write(name)
        packed = self.pack(self.directory + "/low", self.directory + "/high", self.out())
        loaded = self.loaded(self.out())
        self.assertEqual((loaded["digest"], len(loaded["layers"])), (packed["digest"], 2))
        seen = trees.of_image(self.store, loaded)
        self.assertEqual(sorted(seen), ["", "both", "high", "low"])
        self.assertEqual(seen["both"]["size"], len("high"))

    def test_a_layout_keeps_its_other_images(self):
        image = self.image(archive(directory("etc")), name="first").write_all()
        os.mkdir(self.directory + "/tree")
        for _ in range(2):
            self.pack(self.directory + "/tree", f"oci:{image.directory}:v1")
        with open(image.directory + "/index.json", encoding="utf-8") as file:
            self.assertEqual(len(json.load(file)["manifests"]), 2)
        self.loaded(f"oci:{image.directory}:first")
        self.loaded(f"oci:{image.directory}:v1")
        names = [name for name in os.listdir(image.directory + "/blobs/sha256") if len(name) != 64]
        self.assertEqual(names, [])

    def test_what_cannot_be_packed_is_named(self):
        root = self.directory + "/tree"
        os.mkdir(root)
        listener = socket.socket(socket.AF_UNIX)
        self.addCleanup(listener.close)
        listener.bind(root + "/socket")
        os.mknod(root + "/null", 0o20666, os.makedev(1, 3))
        self.assertEqual(self.pack(root, self.out())["dropped_devices"], 2)
        for make, reason in (
            (lambda path: os.chown(path, 65536, 0), "owner 65536:0 is outside 0..65535"),
            (lambda path: os.rename(path, root + "/.wh.x"), 'begins with ".wh."'),
        ):
            with open(root + "/file", "wb"):
                pass
            make(root + "/file")
            error = self.pack(root, self.out(), code=1)
            self.assertEqual(len(error.splitlines()), 1)
            self.assertIn(reason, error)
            for name in ("/file", "/.wh.x"):
                if os.path.exists(root + name):
                    os.unlink(root + name)
        for words, reason in (
            ([self.directory + "/nothere", self.out()], "nothere: No such file"),
            ([root, "rootfs:" + self.directory], "only read, not written"),
            ([root, f"oci:{root}:v1"], "neither an OCI image layout nor empty"),
            (["--env", "x", root, self.out()], 'environment variable "x": expected KEY=VALUE'),
        ):
            self.assertIn(reason, self.pack(*words, code=1))
        blobs = os.listdir(self.directory + "/out/blobs/sha256")
        self.assertEqual([name for name in blobs if len(name) != 64], [])

    def test_help_and_wrong_command_lines(self):
        for verb, wrong in (("pack", ["x"]), ("export", ["x"]), ("pack", ["--compression", "xz", "a", "b"])):
            self.assertIn(f"Usage: dockless image {verb}", case.run("image", verb, "--help").stdout)
            done = case.run("image", verb, *wrong)
            self.assertEqual((done.returncode, len(done.stderr.splitlines())), (2, 1))

    # -- root file systems

    def test_a_root_file_system_is_loaded(self):
        root = self.odd()
        loaded = self.loaded(f"rootfs:{root}/", "--cmd", "/bin/sh", "--env", "A=b", "--label", "c=d", "--name", "mine")
        self.assertEqual((loaded["name"], loaded["cmd"], loaded["env"], loaded["labels"]),
                         ("mine", ["/bin/sh"], ["A=b"], {"c": "d"}))
        self.check(loaded, root)
        self.assertEqual(self.loaded(f"rootfs:{root}")["name"], "odd")
        self.assertEqual(os.listdir(self.store + "/tmp"), [])
        image = self.image(archive(directory("etc"))).write_all()
        self.assert_refused(image, "only rootfs: takes a configuration", options=["--cmd", "x"])
        self.assert_refused(f"rootfs:{root}/nothere", "No such file")

    # -- export

    def test_an_exported_image_has_the_same_tree(self):
        """Whiteouts, opaque directories and directories without entries survive."""
        low = archive(directory("a", mtime=1), entry("a/x", mtime=2), entry("a/y", mtime=3), directory("o", mtime=4),
                      entry("o/gone", mtime=5), entry("only", mtime=6), directory("i", mode=0o711, mtime=7))
        high = archive(entry("a/.wh.x"), entry("o/.wh..wh..opq"), entry("o/new", mtime=8), entry("i/implied", mtime=9))
        loaded = self.loaded(self.image(low, high, labels={"k": "v"}).write_all())
        before = trees.of_image(self.store, loaded)
        done = case.run("image", "export", "--store", self.store, "test", self.out())
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        again = self.loaded(self.out(), store=self.directory + "/second")
        after = trees.of_image(self.directory + "/second", again)
        self.assertEqual(trees.difference(before, after), [])
        for key in ("cmd", "labels", "env", "created", "architecture"):
            self.assertEqual(loaded[key], again[key])

    # -- other tools

    def umoci(self, layout, name):
        if not shutil.which("umoci"):
            self.skipTest("needs umoci")
        bundle = f"{self.directory}/bundle-{name}"
        subprocess.run(["umoci", "unpack", "--image", f"{layout}:{name}", bundle], check=True, capture_output=True)
        return trees.tree(bundle + "/rootfs")

    def test_other_tools_read_what_was_packed(self):
        root = self.odd()
        os.unlink(os.fsencode(root) + b"/caf\xe9 \n")
        packed = self.pack("--compression", "none", "--cmd", "/bin/sh", root, self.out())
        theirs = self.umoci(self.directory + "/out", "v1")
        self.assertEqual(trees.difference(trees.tree(root), theirs), [])
        listed = subprocess.run(["umoci", "ls", "--layout", self.directory + "/out"], check=True, capture_output=True, text=True)
        self.assertEqual(listed.stdout, "v1\n")
        if not shutil.which("skopeo"):
            self.skipTest("needs skopeo")
        shown = subprocess.run(["skopeo", "inspect", self.out()], check=True, capture_output=True, text=True)
        self.assertEqual(json.loads(shown.stdout)["Digest"], packed["digest"])
        zstd = self.pack("--cmd", "/bin/sh", root, self.out("zstd"))
        copied = f"dir:{self.directory}/copied"
        subprocess.run(["skopeo", "--insecure-policy", "copy", "-q", self.out("zstd"), copied], check=True, capture_output=True)
        loaded = self.loaded(copied)
        self.assertEqual(loaded["digest"], zstd["digest"])
        self.check(loaded, root)

    def test_the_default_image_makes_a_round_trip(self):
        """A real Debian root: our tree is umoci's, and that of our export."""
        if not os.path.exists(case.DEFAULT_IMAGE + "/index.json"):
            self.skipTest("needs the default image")
        ours = self.loaded(f"oci:{case.DEFAULT_IMAGE}:default")
        tree = trees.of_image(self.store, ours)
        done = case.run("image", "export", "--store", self.store, "--compression", "none", "default", self.out())
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        again = self.loaded(self.out(), "--name", "again")
        self.assertEqual(trees.difference(tree, trees.of_image(self.store, again)), [])
        self.assertEqual(trees.difference(tree, self.umoci(self.directory + "/out", "v1"), [("", "mtime")]), [])

    def test_other_tools_read_what_a_recipe_made(self):
        if not os.path.exists(case.DEFAULT_IMAGE + "/index.json"):
            self.skipTest("needs the default image")
        for words in (["umoci", "ls", "--layout", case.DEFAULT_IMAGE], ["skopeo", "inspect", f"oci:{case.DEFAULT_IMAGE}:default"]):
            if not shutil.which(words[0]):
                self.skipTest("needs " + words[0])
            shown = subprocess.run(words, check=True, capture_output=True, text=True)
            self.assertIn("default\n" if words[0] == "umoci" else '"org.inginious.grading.name": "default"', shown.stdout)

    def test_whiteouts_of_overlayfs_are_packed(self):
        root = self.directory + "/upper"
        os.makedirs(root + "/a")
        os.mknod(root + "/a/x", 0o20000, os.makedev(0, 0))
        with open(root + "/a/y", "wb"):
            pass
        low = self.directory + "/low"
        os.makedirs(low + "/a")
        for name in ("x", "z"):
            with open(f"{low}/a/{name}", "wb"):
                pass
        self.pack("--overlay", low, root, self.out())
        tree = trees.of_image(self.store, self.loaded(self.out()))
        self.assertEqual(sorted(tree), ["", "a", "a/y", "a/z"])

    def test_thirty_layers_make_a_round_trip(self):
        """Files come, change and go in each; skopeo converts, umoci unpacks, both see our tree."""
        choose = random.Random(30)
        stack = [archive(directory(".", mtime=9), directory("d", mtime=10),
                         *(entry(f"d/f{n}", data=choose.randbytes(100), mtime=10) for n in range(30)))]
        for number in range(29):
            gone = f"d/.wh.f{number}"
            stack.append(archive(directory(".", mtime=9), directory("d", mtime=11 + number), entry(gone), entry(f"d/n{number}", data=b"n", mtime=12)))
        image = self.image(*stack, name="v1").write_all()
        ours = trees.of_image(self.store, self.loaded(image))
        self.assertEqual(len(ours), 2 + 1 + 29)
        self.assertEqual(trees.difference(ours, self.umoci(image.directory, "v1")), [])
        if not shutil.which("skopeo"):
            self.skipTest("needs skopeo")
        path = f"docker-archive:{self.directory}/saved.tar:x:v1"
        subprocess.run(["skopeo", "--insecure-policy", "copy", "-q", image.reference, path], check=True, capture_output=True)
        self.assertEqual(trees.difference(ours, trees.of_image(self.store, self.loaded(path))), [])


if __name__ == "__main__":
    case.main()
