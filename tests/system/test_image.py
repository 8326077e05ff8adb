"""dockless image load, list, inspect: what users do with them."""

import contextlib
import json
import os
import pty
import random
import shutil
import signal
import subprocess
import time

from harness import case, images, layers, stores
from harness.layers import archive, directory, entry

BASE = archive(directory("etc"), entry("etc/release", data=b"base\n"))
UPPER = archive(entry("etc/motd", data=b"hello\n"))


class Image(stores.StoreTest):
    # -- the three verbs

    def test_what_was_loaded_can_be_inspected(self):
        image = self.image(BASE, UPPER, labels={"org.example.key": "välue", "empty": ""})
        image.config["config"] |= {
            "Env": ["PATH=/bin", "A=b=c"],
            "Entrypoint": ["/bin/sh", "-c"],
            "Cmd": None,
            "WorkingDir": "/work",
            "User": "1000:1000",
            "StopSignal": "SIGINT",
        }
        loaded = self.loaded(image.write_all())
        shown = case.run("image", "inspect", "--store", self.store, "--format", "json", "test")
        self.assertEqual(json.loads(shown.stdout), loaded)
        self.assertEqual(loaded["name"], "test")
        self.assertEqual(loaded["digest"], image.descriptor["digest"])
        self.assertEqual(loaded["id"], image.manifest["config"]["digest"])
        self.assertEqual(loaded["created"], images.CREATED)
        self.assertEqual(loaded["created_unix"], images.CREATED_UNIX)
        self.assertEqual(loaded["env"], ["PATH=/bin", "A=b=c"])
        self.assertEqual(loaded["entrypoint"], ["/bin/sh", "-c"])
        self.assertEqual(loaded["cmd"], [])
        self.assertEqual(loaded["working_dir"], "/work")
        self.assertEqual(loaded["user"], "1000:1000")
        self.assertEqual(loaded["stop_signal"], "SIGINT")
        self.assertEqual(loaded["labels"], {"org.example.key": "välue", "empty": ""})
        self.assertEqual(loaded["layers"][:2], image.config["rootfs"]["diff_ids"])
        self.assertEqual(loaded["size"], len("base\n") + len("hello\n"))

    def test_images_are_listed_by_name(self):
        for name in ("zeta", "alpha", "mid/dle:1"):
            self.loaded(self.image(BASE, name=name).write_all())
        self.assertEqual([image["name"] for image in self.listed()], ["alpha", "mid/dle:1", "zeta"])
        text = case.run("image", "list", "--store", self.store)
        lines = text.stdout.splitlines()
        self.assertEqual([line.split()[0] for line in lines], ["NAME", "alpha", "mid/dle:1", "zeta"])
        self.assertEqual(text.stderr, "")

    def test_text_shows_no_control_characters_of_the_image(self):
        image = self.image(BASE, labels={"a\x1b]0;x": "b\x07"})
        self.loaded(image.write_all())
        shown = case.run("image", "inspect", "--store", self.store, "test")
        self.assertEqual(shown.returncode, 0)
        self.assertNotIn("\x1b", shown.stdout)
        self.assertNotIn("\x07", shown.stdout)
        self.assertIn("a?]0;x=b?", shown.stdout)

    def test_an_image_is_found_by_the_beginning_of_its_digest(self):
        loaded = self.loaded(self.image(BASE).write_all())
        for digest in (loaded["digest"], loaded["id"]):
            for prefix in (digest, digest[: len("sha256:") + 12], digest[len("sha256:") :][:12]):
                shown = case.run(
                    "image", "inspect", "--store", self.store, "--format", "json", prefix
                )
                self.assertEqual(json.loads(shown.stdout)["name"], "test", prefix)

    def test_unknown_names_are_refused(self):
        self.make_store()
        for name in ("nothere", "../good", "goo", "", "good\n", "00000000"):
            shown = case.run("image", "inspect", "--store", self.store, name)
            self.assertEqual(shown.returncode, 1, name)
            self.assertEqual(len(shown.stderr.splitlines()), 1)
            self.assertIn("not in the store", shown.stderr)

    def test_help_and_wrong_command_lines(self):
        for verb in ("load", "list", "inspect"):
            done = case.run("image", verb, "--help")
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            self.assertIn(f"Usage: dockless image {verb}", done.stdout)
            for words in (["--frob"], ["--store"], ["--format", "xml"], ["a", "b"]):
                done = case.run("image", verb, *words)
                self.assertEqual(done.returncode, 2, (verb, words))
                self.assertEqual(len(done.stderr.splitlines()), 1)
        for verb in ("load", "inspect"):
            self.assertEqual(case.run("image", verb).returncode, 2)
        self.assertEqual(case.run("image", "list", "--name", "x").returncode, 2)

    def test_progress_is_for_terminals_only(self):
        image = self.image(archive(entry("big", data=os.urandom(1_000_000)))).write_all()
        self.assertEqual(self.load(image).stderr, "")
        ours, theirs = pty.openpty()
        self.addCleanup(os.close, ours)
        words = [case.DOCKLESS, "image", "load", "--store", self.store + "2", image.reference]
        done = subprocess.run(words, stdout=subprocess.PIPE, stderr=theirs, check=True)
        os.close(theirs)
        shown = b""
        with contextlib.suppress(OSError):  # EIO: nobody has the other end any more
            while data := os.read(ours, 4096):
                shown += data
        self.assertRegex(shown.decode(), r"^(\r1 of 1 layers: \d+ of 97\d KiB *)+\r +\r$")
        self.assertTrue(done.stdout.startswith(b"test\n  digest"))

    # -- the store

    def test_a_missing_store_is_named(self):
        for verb, words in (("list", []), ("inspect", ["x"])):
            done = case.run("image", verb, "--store", self.store, *words)
            self.assertEqual(done.returncode, 1)
            self.assertEqual(
                done.stderr,
                f"dockless image {verb}: image store {self.store}: No such file or directory\n",
            )
            self.assertFalse(os.path.exists(self.store))

    def test_a_directory_that_is_no_store_is_left_alone(self):
        os.mkdir(self.store)
        with open(self.store + "/precious", "w", encoding="utf-8"):
            pass
        for verb, word in (("load", self.image(BASE).write_all().reference), ("inspect", "x")):
            done = case.run("image", verb, "--store", self.store, word)
            self.assertEqual(done.returncode, 1)
            self.assertIn("not an image store", done.stderr)
        self.assertEqual(set(os.listdir(self.store)) - {"lock"}, {"precious"})

    def test_an_empty_directory_becomes_a_store(self):
        os.mkdir(self.store, 0o755)
        self.loaded(self.image(BASE).write_all())
        self.assertEqual(self.contents()[""]["mode"], "0o700")

    def test_a_store_of_another_format_is_refused(self):
        self.make_store()
        with open(self.store + "/format", "w", encoding="ascii") as file:
            file.write("2\n")
        for verb, words in (("list", []), ("load", ["oci:/nonexistent"])):
            done = case.run("image", verb, "--store", self.store, *words)
            self.assertEqual(done.returncode, 1)
            self.assertIn("another format", done.stderr)

    def test_the_store_is_closed_to_others_but_records_can_be_handed_out(self):
        self.loaded(self.image(BASE, name="a/b:c").write_all())
        found = self.contents()
        modes = {path: found[path]["mode"] for path in ("", "images", "images/a%2Fb%3Ac.json")}
        self.assertEqual(modes, {"": "0o700", "images": "0o755", "images/a%2Fb%3Ac.json": "0o644"})

    def test_a_damaged_record_is_named(self):
        self.make_store()
        for content in (b"{", b"[]", b'{"name": "good"}', b"{}" + b" " * (4 << 20)):
            with open(self.store + "/images/good.json", "wb") as file:
                file.write(content)
            done = case.run("image", "list", "--store", self.store)
            self.assertEqual(done.returncode, 1)
            self.assertIn("images/good.json", done.stderr)

    # -- references and names

    def test_the_name_is_that_of_the_reference(self):
        self.assertEqual(self.loaded(self.image(BASE, name="a/b:1.2").write_all())["name"], "a/b:1.2")

    def test_without_a_reference_the_directory_gives_the_name(self):
        image = self.image(BASE).write_all()
        for reference in (f"oci:{image.directory}", f"oci:{image.directory}//"):
            self.assertEqual(self.loaded(reference)["name"], "image-1")

    def test_a_name_can_be_chosen(self):
        self.assertEqual(self.loaded(self.image(BASE).write_all(), "--name", "mine")["name"], "mine")

    def test_a_name_takes_the_newest_image(self):
        self.loaded(self.image(BASE).write_all())
        second = self.image(UPPER).write_all()
        self.loaded(second)
        self.assertEqual([image["digest"] for image in self.listed()], [second.descriptor["digest"]])

    def test_bad_names_and_references_are_refused(self):
        self.make_store()
        image = self.image(BASE).write_all()
        for name in ("", "a b", ".hidden", "-x", "ä", "x" * 256, ":" * 255, "a" + "/" * 90):
            self.assert_refused(image, "image name", options=["--name", name])
        for reference in ("", "oci", "oci:", "oci::x", "docker://x", image.directory, "oci:x:"):
            self.assert_refused(reference, "image reference")

    # -- layers

    def test_a_layer_is_unpacked_once_whatever_its_compression(self):
        for name in ("gzip", "zstd", "plain"):
            compression = getattr(layers, name.upper())
            self.loaded(self.image(BASE, name=name, compression=compression).write_all())
        self.assertEqual(len([n for n in os.listdir(self.store + "/layers") if "." not in n]), 1)

    def test_docker_media_types(self):
        image = self.image(BASE)
        image.manifest["mediaType"] = layers.DOCKER + "distribution.manifest.v2+json"
        image.manifest["layers"][0]["mediaType"] = layers.DOCKER + "image.rootfs.diff.tar.gzip"
        image.manifest["config"] = image.json_blob(image.config, "")
        image.manifest["config"]["mediaType"] = layers.DOCKER + "container.image.v1+json"
        image.write_manifest()
        image.descriptor["mediaType"] = image.manifest["mediaType"]
        image.write_index()
        self.loaded(image)

    def test_streams_of_several_members(self):
        half = len(BASE) // 2
        for name in ("GZIP", "ZSTD"):
            media_type, compress = getattr(layers, name)
            parts = (media_type, lambda tar, f=compress: f(tar[:half]) + f(b"") + f(tar[half:]))
            self.loaded(self.image(BASE, name=name, compression=parts).write_all())

    def test_sha512_blobs(self):
        image = self.image(BASE)
        digest = "sha512:" + __import__("hashlib").sha512(layers.fast_gzip(BASE)).hexdigest()
        layer = image.manifest["layers"][0]
        os.mkdir(image.directory + "/blobs/sha512")
        os.rename(image.path(layer), os.path.join(image.directory, image.blob_name(digest)))
        layer["digest"] = digest
        self.loaded(image.write_all())

    # -- indexes

    def _nested(self, image, *platforms):
        """Wraps the image in an index with an entry for each platform; all others lead nowhere."""
        image.write_manifest()
        entries = []
        for number, (system, architecture) in enumerate(platforms):
            found = {key: image.descriptor[key] for key in ("mediaType", "digest", "size")}
            if (system, architecture) != ("linux", layers.ARCHITECTURE):
                found["digest"] = "sha256:" + f"{number:x}" * 64
            entries.append(found | {"platform": {"os": system, "architecture": architecture}})
        inner = {"schemaVersion": 2, "manifests": entries}
        image.index["manifests"] = [
            image.descriptor | image.json_blob(inner, "index.v1+json")
        ]
        image.write_index()
        return image

    def test_the_image_for_this_machine_is_chosen(self):
        other = "arm64" if layers.ARCHITECTURE == "amd64" else "amd64"
        here = ("linux", layers.ARCHITECTURE)
        platforms = [("linux", other), here, ("windows", here[1]), ("unknown", "unknown")]
        self.loaded(self._nested(self.image(BASE), *platforms))

    def test_no_image_for_this_machine(self):
        self.make_store()
        image = self._nested(self.image(BASE), ("linux", "s390x"), ("unknown", "unknown"))
        self.assert_refused(image, f"no image for linux/{layers.ARCHITECTURE}")

    def test_several_images_need_a_reference(self):
        self.make_store()
        image = self.image(BASE)
        image.write_manifest()
        second = layers.Image(self.directory + "/second", [UPPER], name="second")
        second.directory = image.directory
        second.manifest["layers"] = [second.blob(layers.fast_gzip(UPPER), second.manifest["layers"][0]["mediaType"])]
        second.write_manifest()
        image.index["manifests"].append(second.descriptor)
        image.write_index()
        self.assert_refused(f"oci:{image.directory}", "several images", ":REFERENCE or :@INDEX")
        self.assert_refused(f"oci:{image.directory}:third", 'there is no image "third"')
        self.assertEqual(self.loaded(f"oci:{image.directory}:second")["name"], "second")
        self.assertEqual(
            self.loaded(f"oci:{image.directory}:@1", "--name", "at1")["digest"],
            second.descriptor["digest"],
        )
        self.assert_refused(f"oci:{image.directory}:@2", "there is no image @2, only 2")

    # -- at once and in between

    # What any process of a load may have in memory, whatever the layers are: buffers, and some 100
    # bytes for each entry.
    LOAD_KIB_MAX = 48 << 10

    def test_memory_of_a_load_does_not_grow_with_its_layers(self):
        """One layer of 10,000 small entries, and eight of as many together, side by side."""
        if "ASAN_OPTIONS" in os.environ:
            return  # a sanitizer keeps what was freed: with one this says nothing
        peaks = []
        os.mkdir(self.directory + "/memory")  # where no disk is waited for
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", self.directory + "/memory"], check=True)
        self.addCleanup(subprocess.run, ["umount", self.directory + "/memory"], check=True)
        self.store = self.directory + "/memory/store"
        for count in (1, 8):
            stack = []
            for number in range(count):
                files = (entry(f"d{number}/{n}", data=b"x") for n in range(10_000 // count))
                stack.append(archive(directory(f"d{number}"), *files))
            image = self.image(*stack, name=f"layers{count}").write_all()
            # A process begins with the peak of the one it comes from: that has to be a small one.
            program = ("import resource, subprocess, sys; subprocess.run(sys.argv[1:], stdout=2, check=True);"
                       "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)")
            words = ["/usr/bin/python3", "-S", "-c", program, case.DOCKLESS, "image", "load", "--store", self.store, image.reference]
            done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
            peaks.append(int(done.stdout))
        self.assertLess(max(peaks), self.LOAD_KIB_MAX, peaks)
        self.assertLess(peaks[1], peaks[0] + 2048, peaks)

    def test_loads_at_once_share_their_layers(self):
        many = [archive(entry(f"file{n}", data=os.urandom(100_000))) for n in range(5)]
        images_ = [self.image(*many, name=f"copy{n}").write_all() for n in range(4)]
        words = [case.DOCKLESS, "image", "load", "--store", self.store]
        running = [subprocess.Popen([*words, i.reference], stdout=subprocess.DEVNULL) for i in images_]
        self.assertEqual([process.wait(60) for process in running], [0] * 4)
        self.assertEqual(len(self.listed()), 4)
        names = [n for n in os.listdir(self.store + "/layers") if "." not in n]
        self.assertEqual(len(names), 5)
        self.assertEqual(os.listdir(self.store + "/tmp"), [])

    def test_a_killed_load_leaves_nothing_behind(self):
        self.make_store()
        image = self.image(
            *(archive(entry(f"f{n}", data=os.urandom(1_000_000))) for n in range(8))
        ).write_all()
        before = self.contents()
        words = [case.DOCKLESS, "image", "load", "--store", self.store, image.reference]
        seed = random.randrange(1 << 32)
        choose = random.Random(seed)
        killed = 0
        longest = 0.2
        for _ in range(20):
            process = subprocess.Popen(words, stdout=subprocess.DEVNULL)
            time.sleep(choose.uniform(0, longest))
            process.send_signal(signal.SIGKILL)
            process.wait()
            names = [n["name"] for n in self.listed()]
            if "test" in names:  # it was done: once more, from the beginning, and sooner
                longest /= 2
                shutil.rmtree(self.store)
                self.make_store()
                before = self.contents()
                continue
            killed += 1
            self.assertEqual(names, ["good"], f"seed {seed}")
            now = self.contents()
            for path in before:
                if path not in ("layers", "images", "tmp"):
                    self.assertEqual(now[path], before[path], f"seed {seed}: {path}")
        self.assertGreater(killed, 0, "the load was never killed")
        self.loaded(image)
        self.assertEqual(os.listdir(self.store + "/tmp"), [])
        self.assertEqual(sorted(n["name"] for n in self.listed()), ["good", "test"])


if __name__ == "__main__":
    case.main()
