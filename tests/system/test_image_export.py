"""dockless image pack and export: every form that an image is written in, and what others make of it."""

import json
import os
import shutil
import subprocess
import tarfile

from harness import case, images, layers, stores, trees
from harness.layers import archive, directory, entry, hardlink, symlink

BASE = archive(directory("etc", mode=0o750), entry("etc/release", data=b"base\n" * 1000, owner=(3, 4)), entry("gone"))
UPPER = archive(entry("etc/motd", data=b"hello\n", mtime=5), hardlink("etc/again", "etc/motd"), symlink("l", "etc"),
                entry(".wh.gone"), entry("etc/new", records=[(b"SCHILY.xattr.user.note", b"n")]))
FORMS = ("oci:%s:v1", "oci-archive:%s:v1", "oci-archive:%s", "docker-archive:%s:host.org:5000/some/thing:v1",
         "docker-archive:%s:busybox", "docker-archive:%s", "dir:%s")


class Export(stores.StoreTest):
    def written(self, verb, *words, code=0):
        done = case.run("image", verb, "--format", "json", *words)
        self.assertEqual((done.returncode, done.stderr if code == 0 else ""), (code, ""), done.stderr)
        if code != 0:
            self.assertEqual((done.stdout, len(done.stderr.splitlines())), ("", 1))
        return json.loads(done.stdout) if code == 0 else done.stderr

    def exported(self, name, target, *options, code=0):
        return self.written("export", "--store", self.store, *options, name, target, code=code)

    def plain_tree(self):
        root = self.directory + "/tree"
        os.mkdir(root)
        with open(root + "/file", "wb") as file:
            file.write(b"content\n" * 5000)
        os.utime(root + "/file", (0, 1000))
        os.utime(root, (0, 1000))
        return root

    def skopeo(self, *words):
        if not shutil.which("skopeo"):
            self.skipTest("needs skopeo")
        return subprocess.run(["skopeo", *words], check=True, capture_output=True, text=True).stdout

    # -- reproducible

    def test_every_compression_gives_the_same_bytes_each_time(self):
        root = self.plain_tree()
        digests = set()
        for how, magic in (("zstd", b"\x28\xb5\x2f\xfd"), ("gzip", b"\x1f\x8b\x08\0\0\0\0\0"), ("none", b"./\0")):
            first, again = (self.written("pack", "--compression", how, root, f"oci:{self.directory}/{how}{n}:v1") for n in "12")
            self.assertEqual(first["digest"], again["digest"])
            digests.add(first["digest"])
            place = f"{self.directory}/{how}1/blobs/sha256/"
            with open(place + first["digest"][7:], encoding="utf-8") as file:
                layer = json.load(file)["layers"][0]
            self.assertEqual(layer["mediaType"].rpartition("tar")[2], "" if how == "none" else "+" + how)
            with open(place + layer["digest"][7:], "rb") as file:
                self.assertEqual(file.read(len(magic)), magic)
            if how == "gzip":  # by others, too
                subprocess.run(["gzip", "-t"], stdin=open(place + layer["digest"][7:], "rb"), check=True)
        self.assertEqual(len(digests), 3)

    def test_entries_are_in_the_order_of_their_names(self):
        root = self.directory + "/many"
        os.mkdir(root)
        names = [f"{n * 7919 % 100:02}" for n in range(100)]
        for name in names:
            with open(f"{root}/{name}", "wb"):
                pass
        self.written("pack", "--compression", "none", root, f"docker-archive:{self.directory}/many.tar")
        with tarfile.open(self.directory + "/many.tar") as outer:
            layer = json.load(outer.extractfile("manifest.json"))[0]["Layers"][0]
            with tarfile.open(fileobj=outer.extractfile(layer)) as inner:
                self.assertEqual(inner.getnames()[1:], sorted(names))

    def test_archives_are_the_same_byte_by_byte(self):
        root = self.plain_tree()
        for form in ("oci-archive:%s:v1", "docker-archive:%s:v1:x"):
            contents = set()
            for name in ("a.tar", "b.tar"):
                self.written("pack", root, form % f"{self.directory}/{name}")
                with open(f"{self.directory}/{name}", "rb") as file:
                    contents.add(file.read())
                os.unlink(f"{self.directory}/{name}")
            self.assertEqual(len(contents), 1, form)

    # -- there and back

    def test_what_is_exported_is_what_is_loaded(self):
        """In every form and compression: the tree, the configuration, and the digest that was told."""
        loaded = self.loaded(self.image(BASE, UPPER, labels={"k": "v"}).write_all())
        before = trees.of_image(self.store, loaded)
        for number, form in enumerate(FORMS):
            target = form % f"{self.directory}/out{number}"
            for how in ("none",) if "docker" in form else ("gzip", "zstd"):
                told = self.exported("test", target, "--compression", how)
                again = self.loaded(target, "--name", "again")
                self.assertEqual((again["digest"], again["cmd"], again["labels"]), (told["digest"], loaded["cmd"], loaded["labels"]))
                self.assertEqual(trees.difference(before, trees.of_image(self.store, again)), [], target)
                if not form.startswith("oci:"):
                    self.assertIn("exist" if "archive" in form else "not empty", self.exported("test", target, code=1))
                    shutil.rmtree(f"{self.directory}/out{number}", ignore_errors=True)
                    if os.path.exists(f"{self.directory}/out{number}"):
                        os.unlink(f"{self.directory}/out{number}")
        self.assertEqual([name for name in os.listdir(self.directory) if name.startswith(".")], [])

    def test_a_layer_that_comes_twice_is_in_an_archive_once(self):
        low, high = (self.directory + name for name in ("/low", "/high"))
        os.mkdir(low), os.mkdir(high)
        with open(high + "/x", "wb"):
            pass
        for form in ("oci-archive:%s:v1", "docker-archive:%s:v1"):
            target = form % (self.directory + "/" + form[:3])
            self.written("pack", "--created", "0", low, high, low, target)
            self.assertEqual(sorted(trees.of_image(self.store, self.loaded(target, "--name", "x"))), ["", "x"])
            names = subprocess.run(["tar", "-tf", target.split(":")[1]], check=True, capture_output=True, text=True).stdout.split()
            self.assertEqual(len(names), len(set(names)))

    def test_names_are_docker_s(self):
        root = self.plain_tree()
        for name, tag in (("x", "x:latest"), ("a/b-c:1.2_3", "a/b-c:1.2_3"), ("localhost:5000/x", "localhost:5000/x:latest")):
            path = self.directory + "/named.tar"
            self.written("pack", root, f"docker-archive:{path}:{name}")
            listed = subprocess.run(["tar", "-xOf", path, "manifest.json"], check=True, capture_output=True).stdout
            self.assertEqual([entry["RepoTags"] for entry in json.loads(listed)], [[tag]])
            os.unlink(path)
        for name in ("X", "a//b", "/a", "a/", "a:", "a:b:c", "a:-x", "a b", "a@sha256:" + "0" * 64, "Up/case", "-a", "a:" + "x" * 129):
            error = self.written("pack", root, f"docker-archive:{self.directory}/no.tar:{name}", code=1)
            self.assertIn("that Docker takes", error)

    def test_what_cannot_be_written_is_named_and_leaves_nothing(self):
        root = self.plain_tree()
        os.chown(root + "/file", 65536, 0)
        before = sorted(os.listdir(self.directory))
        for form in ("oci-archive:%s/a:v1", "docker-archive:%s/b", ):
            self.assertIn("outside 0..65535", self.written("pack", root, form % self.directory, code=1))
            self.assertEqual(sorted(os.listdir(self.directory)), before)
        for target, options, reason in (
            ("docker-archive:%s/x", ["--compression", "gzip"], "its layers are not compressed"),
            ("oci:%s/x:@1", [], "a place (@INDEX) can only be read"),
            ("rootfs:%s/x", [], "only read, not written"),
            ("oci-archive:%s/nowhere/x", [], "open its directory: No such file"),
            ("dir:%s/tree", [], "the directory is not empty"),
        ):
            self.assertIn(reason, self.written("pack", *options, root, target % self.directory, code=1))
        self.assertEqual(sorted(os.listdir(self.directory)), before)
        self.assertEqual(case.run("image", "pack", "--compression", "xz", root, "oci:x").returncode, 2)

    # -- other tools

    def test_others_read_every_form(self):
        loaded = self.loaded(self.image(BASE, UPPER, labels={"k": "v"}).write_all())
        ours = trees.of_image(self.store, loaded)
        for number, form in enumerate(FORMS):
            target = form % f"{self.directory}/out{number}"
            told = self.exported("test", target, *([] if "docker" in form else ["--compression", "gzip"]))
            shown = json.loads(self.skopeo("inspect", target))
            self.assertEqual((shown["Labels"], len(shown["Layers"])), ({"k": "v"}, len(loaded["layers"])))
            if "docker" not in form:
                self.assertEqual(shown["Digest"], told["digest"])
            if not shutil.which("umoci") or number not in (1, 4, 6):
                continue
            copied = f"{self.directory}/copied{number}"
            self.skopeo("--insecure-policy", "copy", "-q", target, f"oci:{copied}:v1")
            bundle = f"{self.directory}/bundle{number}"
            subprocess.run(["umoci", "unpack", "--image", copied + ":v1", bundle], check=True, capture_output=True)
            self.assertEqual(trees.difference(ours, trees.tree(bundle + "/rootfs"), [("", "mtime")]), [], form)


if __name__ == "__main__":
    case.main()
