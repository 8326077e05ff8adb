"""dockless image tag, rm, prune and verify, also while others use the store."""

import json
import os
import shutil
import signal
import subprocess
import time

from harness import case, images, layers, stores
from harness.layers import archive, directory, entry, hardlink, symlink

BASE = archive(directory("etc"), entry("etc/release", data=b"base\n"))
LEFT = archive(entry("left", data=b"l" * 1000))
RIGHT = archive(entry("right", data=b"r" * 3000))


class Store(stores.StoreTest):
    def verb(self, *words, code=0):
        done = case.run("image", words[0], "--store", self.store, "--format", "json", *words[1:])
        self.assertEqual((done.returncode, done.stderr if code == 0 else ""), (code, ""), done.stderr)
        return json.loads(done.stdout) if done.stdout else done.stderr

    def names(self):
        return [image["name"] for image in self.listed()]

    def stored(self):
        return sorted(n for n in os.listdir(self.store + "/layers") if "." not in n)

    def two_images(self):
        self.left = self.loaded(self.image(BASE, LEFT, name="left").write_all())
        self.right = self.loaded(self.image(BASE, RIGHT, name="right").write_all())

    # -- names

    def test_an_image_has_several_names(self):
        self.two_images()
        self.assertEqual(self.verb("tag", "left", "again:1"), self.left | {"name": "again:1"})
        self.verb("tag", self.right["digest"][7:19], "left")
        self.assertEqual(self.names(), ["again:1", "left", "right"])
        self.assertEqual([i["digest"] for i in self.listed()].count(self.right["digest"]), 2)
        for words in (["nothere", "x"], ["left", "../x"], ["left", ""]):
            self.assertIn("image", self.verb("tag", *words, code=1))
        self.assertEqual(self.names(), ["again:1", "left", "right"])

    def test_removed_names_are_gone_and_layers_stay_until_pruned(self):
        self.two_images()
        self.verb("tag", "left", "other")
        before = self.stored()
        self.assertEqual(self.verb("rm", "left"), [{"name": "left", "in_use": False}])
        self.assertEqual(self.names(), ["other", "right"])
        self.assertEqual(self.verb("prune"), {"layers": [], "freed": 0, "in_use": 0})
        self.verb("rm", "other", "right")
        self.assertEqual(self.stored(), before)
        self.assertIn("not in the store", self.verb("rm", "left", code=1))
        gone = self.verb("prune")
        self.assertEqual(gone["freed"], 4005)
        self.assertEqual(sum(layer["size"] for layer in gone["layers"]), 4005)
        self.assertEqual((os.listdir(self.store + "/layers"), os.listdir(self.store + "/tmp")), ([], []))

    def test_prune_leaves_what_other_images_share(self):
        self.two_images()
        self.verb("rm", "left")
        gone = self.verb("prune")
        self.assertIn({"layer": images.digest(LEFT), "size": 1000}, gone["layers"])
        self.assertNotIn(images.digest(BASE), [layer["layer"] for layer in gone["layers"]])
        self.assertEqual(self.verb("verify")["faults"], [])

    def test_prune_says_in_words_what_it_freed(self):
        self.two_images()
        self.verb("rm", "left")
        done = case.run("image", "prune", "--store", self.store)
        self.assertIn("freed 1000 bytes in ", done.stdout.splitlines()[-1])
        self.assertIn(images.digest(LEFT) + "  1000 bytes", done.stdout)

    # -- in use

    def hold(self, name):
        """As whoever runs from an image does: in another process, which can be killed."""
        program = (
            "import fcntl, sys, time; f = open(sys.argv[1]); fcntl.flock(f, fcntl.LOCK_SH);"
            "print(flush=True); time.sleep(1000)"
        )
        holder = subprocess.Popen(
            ["/usr/bin/python3", "-c", program, f"{self.store}/images/{name}.json"], stdout=subprocess.PIPE
        )
        self.addCleanup(holder.stdout.close)
        self.addCleanup(holder.wait)
        self.addCleanup(holder.kill)
        holder.stdout.readline()
        return holder

    def kill(self, holder):
        holder.send_signal(signal.SIGKILL)
        holder.wait()

    def test_an_image_in_use_is_not_pulled_away(self):
        self.two_images()
        holder = self.hold("left")
        self.assertEqual(self.verb("rm", "left"), [{"name": "left", "in_use": True}])
        self.assertEqual(self.names(), ["right"])
        before = self.stored()
        gone = self.verb("prune")
        self.assertEqual((gone["freed"], gone["layers"]), (0, []))
        self.assertGreaterEqual(gone["in_use"], 1)
        self.assertEqual(self.stored(), before)
        self.kill(holder)
        self.assertEqual(self.verb("prune")["freed"], 1000)
        self.assertEqual(os.listdir(self.store + "/leaving"), [])

    def test_an_image_in_use_can_be_replaced(self):
        self.two_images()
        holder = self.hold("left")
        self.verb("tag", "right", "left")
        self.assertEqual(self.verb("prune")["freed"], 0)
        self.assertIn(images.digest(LEFT)[7:], self.stored())
        self.kill(holder)
        self.assertEqual(self.verb("prune")["freed"], 1000)

    def test_names_come_and_go_while_others_look(self):
        """Readers never see an image that is half there, whatever is done meanwhile."""
        self.two_images()
        words = [case.DOCKLESS, "image", "--store", self.store]
        changes = [
            subprocess.Popen(
                ["/bin/sh", "-c", f"for i in 1 2 3 4 5 6 7 8; do {case.DOCKLESS} image $0 --store {self.store} $@ || exit; done",
                 *change], stdout=subprocess.DEVNULL)
            for change in (["tag", "left", "x"], ["tag", "right", "x"], ["prune"])
        ]
        looks = 0
        while any(change.poll() is None for change in changes):
            shown = case.run("image", "inspect", "--store", self.store, "--format", "json", "x")
            if shown.returncode == 0:
                looks += 1
                self.assertIn(json.loads(shown.stdout)["digest"], (self.left["digest"], self.right["digest"]))
            else:
                self.assertIn('image "x": not in the store', shown.stderr)
        self.assertEqual([change.returncode for change in changes], [0, 0, 0], words)
        self.assertGreater(looks, 0)
        self.assertEqual(self.verb("verify")["faults"], [])

    # -- verifying

    ODD = archive(
        directory("a", mode=0o700),
        entry("a/file", data=bytes(range(256)) * 1000),
        entry("a/suid", data=b"x", mode=0o4755, owner=(5, 6)),
        entry("a/empty"),
        hardlink("a/again", "a/file"),
        symlink("a/link", "file"),
        entry("a/fifo", layers.FIFO),
        entry("a/twice", data=b"first"),
        entry("a/twice", data=b"second"),
        directory("b"),
        entry("b/gone", data=b"y"),
        entry("b", data=b"now a file"),
        entry(b"caf\xe9", data=b"z"),
    )

    def test_a_sound_store_verifies(self):
        self.two_images()
        self.loaded(self.image(self.ODD, name="odd").write_all())
        found = self.verb("verify")
        self.assertEqual(found["faults"], [])
        self.assertEqual(found["files"], 3 + 8)
        self.assertEqual(self.verb("verify", "left")["files"], 2)
        done = case.run("image", "verify", "--store", self.store)
        self.assertEqual((done.returncode, done.stdout.splitlines()[-1][:8]), (0, "11 files"))

    def test_verify_finds_a_flipped_bit(self):
        self.loaded(self.image(self.ODD).write_all())
        place = self.store + "/layers/" + images.digest(self.ODD)[7:]
        for path, offset in (("a/file", 0), ("a/file", 255_999), ("a/file", 131_072), ("a/suid", 0), ("b", 3)):
            with open(f"{place}/{path}", "r+b") as file:
                file.seek(offset)
                byte = file.read(1)[0]
                file.seek(offset)
                file.write(bytes([byte ^ 1]))
            os.chmod(f"{place}/{path}", 0o4755 if path == "a/suid" else 0o644)
            faults = self.verb("verify", "test", code=1)["faults"]
            self.assertEqual(len(faults), 1, faults)
            names = ("a/file", "a/again") if path == "a/file" else (path,)
            self.assertIn(faults[0]["path"], names)
            self.assertEqual(faults[0]["layer"], images.digest(self.ODD))
            with open(f"{place}/{path}", "r+b") as file:
                file.seek(offset)
                file.write(bytes([byte]))
            os.chmod(f"{place}/{path}", 0o4755 if path == "a/suid" else 0o644)
        self.assertEqual(self.verb("verify")["faults"], [])

    def test_verify_finds_what_else_has_changed(self):
        self.loaded(self.image(self.ODD).write_all())
        place = self.store + "/layers/" + images.digest(self.ODD)[7:] + "/"

        def relink():
            os.unlink(place + "a/link")
            os.symlink("elsewhere", place + "a/link")

        for change, path in (
            (lambda: os.chmod(place + "a/suid", 0o755), "a/suid"),
            (lambda: os.chown(place + "a/empty", 1, 1), "a/empty"),
            (relink, "a/link"),
            (lambda: os.truncate(place + "a/twice", 3), "a/twice"),
            (lambda: shutil.copy(place + "a/file", place + "new") and os.chmod(place + "new", 0o600), "new"),
        ):
            change()
            faults = self.verb("verify", code=1)["faults"]
            self.assertIn(path, [fault["path"] for fault in faults])
        os.unlink(place + "new")
        os.unlink(place + b"caf\xe9".decode("utf-8", "surrogateescape"))
        faults = self.verb("verify", code=1)["faults"]
        self.assertIn("1 files are missing", [fault["fault"] for fault in faults])

    def test_verify_finds_missing_layers(self):
        self.two_images()
        os.rename(f"{self.store}/layers/{images.digest(LEFT)[7:]}", self.directory + "/away")
        faults = self.verb("verify", code=1)["faults"]
        self.assertEqual([fault["layer"] for fault in faults], [images.digest(LEFT)])

    # -- after a crash

    def test_a_killed_load_is_resumed(self):
        """Layers that were complete are not unpacked again; after a restart of the machine they are."""
        big = archive(entry("big", data=os.urandom(30_000_000)))
        image = self.image(BASE, LEFT, big).write_all()
        words = [case.DOCKLESS, "image", "load", "--store", self.store, image.reference]
        tmp = self.store + "/tmp/"
        place = tmp + images.digest(LEFT)[7:]
        for restarted in (False, True):
            process = subprocess.Popen(words, stdout=subprocess.DEVNULL)
            while not os.path.exists(place + ".json"):
                self.assertIsNone(process.poll(), "the load was too fast to be killed")
                time.sleep(0.001)
            process.kill()
            process.wait()
            kept = os.open(place, os.O_PATH)  # so that its number is not given out again
            self.addCleanup(os.close, kept)
            inode = os.fstat(kept).st_ino
            if restarted:
                with open(tmp + "boot", "w", encoding="ascii") as file:
                    file.write("another life\n")
            self.loaded(image)
            now = os.stat(f"{self.store}/layers/{images.digest(LEFT)[7:]}").st_ino
            self.assertEqual(now == inode, not restarted)
            self.assertEqual(os.listdir(tmp), [])
            self.assertEqual(self.verb("verify")["faults"], [])
            self.verb("rm", "test")
            self.verb("prune")

    def test_prune_frees_what_killed_loads_left(self):
        big = archive(entry("big", data=os.urandom(30_000_000)))
        image = self.image(BASE, big).write_all()
        process = subprocess.Popen([case.DOCKLESS, "image", "load", "--store", self.store, image.reference])
        while not os.path.exists(f"{self.store}/tmp/{images.digest(BASE)[7:]}.json"):
            self.assertIsNone(process.poll(), "the load was too fast to be killed")
            time.sleep(0.001)
        process.kill()
        process.wait()
        self.verb("prune")
        self.assertEqual(os.listdir(self.store + "/tmp"), [])

    # -- command lines

    def test_help_and_wrong_command_lines(self):
        for verb, wrong in (("tag", ["x"]), ("rm", []), ("prune", ["x"]), ("verify", ["x", "y"])):
            shown = case.run("image", verb, "--help")
            self.assertEqual((shown.returncode, shown.stderr), (0, ""))
            self.assertIn(f"Usage: dockless image {verb}", shown.stdout)
            done = case.run("image", verb, *wrong)
            self.assertEqual(done.returncode, 2)
            self.assertEqual(len(done.stderr.splitlines()), 1)


if __name__ == "__main__":
    case.main()
