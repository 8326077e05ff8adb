"""dockless image tag, rm, prune and verify, also while others use the store."""

import json
import os
import shutil
import signal
import subprocess
import time

from harness import case, images, layers, stores, trees
from harness.layers import archive, directory, entry, hardlink, symlink

BASE = archive(directory("etc"), entry("etc/release", data=b"base\n"))
LEFT = archive(entry("left", data=b"l" * 1000))
CAPABILITY = bytes.fromhex("0100000200200000000000000000000000000000")
RIGHT = archive(entry("right", data=b"r" * 3000))


def keep_time(path, change, more=0):
    """Makes a change and puts the time back, MORE nanoseconds later."""
    before = os.lstat(path).st_mtime_ns
    change()
    os.utime(path, ns=(0, before + more), follow_symlinks=False)


def flip(path):
    def change():
        with open(path, "r+b") as file:
            byte = file.read(1)[0]
            file.seek(0)
            file.write(bytes([byte ^ 1]))

    keep_time(path, change)


def replace(path, make):
    def change():
        os.unlink(path)
        make()

    keep_time(path, change)


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
            os.utime(f"{place}/{path}", (0, layers.TIME))
            faults = self.verb("verify", "test", code=1)["faults"]
            self.assertEqual(len(faults), 1, faults)
            names = ("a/file", "a/again") if path == "a/file" else (path,)
            self.assertIn(faults[0]["path"], names)
            self.assertEqual(faults[0]["layer"], images.digest(self.ODD))
            with open(f"{place}/{path}", "r+b") as file:
                file.seek(offset)
                file.write(bytes([byte]))
            os.chmod(f"{place}/{path}", 0o4755 if path == "a/suid" else 0o644)
            os.utime(f"{place}/{path}", (0, layers.TIME))
        self.assertEqual(self.verb("verify")["faults"], [])

    def test_a_sound_layer_verifies_however_it_was_written(self):
        """Entries that come twice, in any order, by way of links, with times beyond a file system's."""
        note = [(b"SCHILY.xattr.user.note", b"n")]
        other = [(b"SCHILY.xattr.user.other", b"o")]
        odd = (
            [directory("d"), symlink("l", "d"), entry("l/f", data=b"x"), hardlink("l/g", "l/f"), hardlink("h", "d/g")],
            [directory("d", records=note), entry("d/f"), directory("d", records=other, mtime=5, mode=0o2755), entry("d/g")],
            [entry("d/e/f"), directory("d", mode=0o700), directory(".", mode=0o711, mtime=9), directory("d/e", records=note)],
            [entry(".wh.a"), entry("a"), entry("b"), entry(".wh.b"), entry("o/.wh..wh..opq"), entry("o/x"), entry("w/.wh.x")],
            [directory("d", mtime=3), directory("y", mtime=4), entry("y/in"), symlink("x", "y"), directory("d"), symlink("d", "y")],
            [entry("a", data=b"1"), hardlink("b", "a"), hardlink("c", "b"), entry("a", data=b"2"), hardlink("e", "c")],
            [entry("t", records=[(b"mtime", b"9999999999999.5")]), entry("u", records=[(b"mtime", b"-1.25")]),
             entry("c", records=[(b"SCHILY.xattr.security.capability", CAPABILITY)])],
            [entry("dev/null", layers.CHARACTER, device=(1, 3)), entry("s", mode=0o6755, owner=(3, 4)), entry("p", layers.FIFO)],
        )
        for number, entries in enumerate(odd):
            self.loaded(self.image(BASE, archive(*entries), name=f"odd{number}").write_all())
        self.assertEqual(self.verb("verify")["faults"], [])

    def test_a_link_in_the_place_of_a_directory_leaves_what_it_leads_to_alone(self):
        made = archive(directory("x", mtime=3), directory("a", mtime=4), symlink("x", "a", mtime=5))
        loaded = self.loaded(self.image(made).write_all())
        seen = trees.of_image(self.store, loaded)
        self.assertEqual([seen[name]["mtime"] for name in "xa"], [5 * 10**9, 4 * 10**9])

    # What a directory D has in it, what of it is changed ("": D itself), which property that is, and how.
    CHANGES = (
        ("file", "f", "content", lambda f: flip(f)),
        ("file", "f", "time", lambda f: keep_time(f, lambda: None, 1)),
        ("file", "f", "time", lambda f: keep_time(f, lambda: None, 10**9)),
        ("file", "f", "mode", lambda f: os.chmod(f, 0o4644)),
        ("file", "f", "owner", lambda f: os.chown(f, 1, 0)),
        ("file", "f", "xattrs", lambda f: os.setxattr(f, "user.note", b"m")),
        ("file", "f", "xattrs", lambda f: os.setxattr(f, "user.new", b"")),
        ("file", "f", "xattrs", lambda f: os.removexattr(f, "user.note")),
        ("capable", "f", "xattrs", lambda f: os.removexattr(f, "security.capability")),
        ("symlink", "l", "link target", lambda f: replace(f, lambda: os.symlink("y", f))),
        ("symlink", "l", "time", lambda f: keep_time(f, lambda: None, 1)),
        ("symlink", "l", "owner", lambda f: os.chown(f, 0, 1, follow_symlinks=False)),
        ("fifo", "p", "mode", lambda f: os.chmod(f, 0o600)),
        ("fifo", "p", "time", lambda f: keep_time(f, lambda: None, 1)),
        ("links", "f", "content", lambda f: flip(f)),
        ("links", "h", "file it is linked to", lambda f: replace(f, lambda: os.link(f[:-1] + "z", f))),
        ("links", "h", "file it is linked to", lambda f: replace(f, lambda: shutil.copy2(f[:-1] + "f", f))),
        ("file", "new", "additional", lambda f: os.link(f[:-3] + "f", f)),
        ("file", "new", "additional", lambda f: shutil.copy2(f[:-3] + "f", f)),
        ("file", "new", "additional", lambda f: os.mkdir(f)),
        ("file", "new", "additional", lambda f: os.mknod(f, 0o20000, os.makedev(0, 0))),
        ("file", "moved", "additional", lambda f: os.rename(f[:-5] + "f", f)),
        ("whiteout", "moved", "additional", lambda f: os.rename(f[:-5] + "gone", f)),
        ("file", "", "mode", lambda f: os.chmod(f, 0o700)),
        ("file", "", "owner", lambda f: os.chown(f, 1, 1)),
        ("file", "", "time", lambda f: keep_time(f, lambda: None, 1)),
        ("file", "", "xattrs", lambda f: os.setxattr(f, "user.note", b"m")),
        ("file", "", "xattrs", lambda f: os.setxattr(f, "trusted.overlay.opaque", b"y")),
        ("opaque", "", "xattrs", lambda f: os.removexattr(f, "trusted.overlay.opaque")),
        ("implied", "d", "mode", lambda f: os.chmod(f, 0o700)),
    )

    def described(self, kind, d):
        note, capability = ([(b"SCHILY.xattr." + key, value)] for key, value in
                            ((b"user.note", b"n"), (b"security.capability", CAPABILITY)))
        return [directory(d)] + {
            "file": [entry(d + "/f", data=b"content", records=note)],
            "capable": [entry(d + "/f", data=b"x", records=capability)],
            "symlink": [symlink(d + "/l", "x")],
            "fifo": [entry(d + "/p", layers.FIFO)],
            "links": [entry(d + "/f", data=b"a"), hardlink(d + "/h", d + "/f"), entry(d + "/z", data=b"b")],
            "whiteout": [entry(d + "/.wh.gone")],
            "opaque": [entry(d + "/.wh..wh..opq")],
            "implied": [entry(d + "/d/f")],
        }[kind]

    def test_verify_finds_every_kind_of_change(self):
        entries = [self.described(kind, f"{n:02}") for n, (kind, *_) in enumerate(self.CHANGES)]
        made = archive(*(one for some in entries for one in some))
        self.loaded(self.image(made).write_all())
        root = f"{self.store}/layers/{images.digest(made)[7:]}/"
        self.assertEqual(self.verb("verify")["faults"], [])
        places = [f"{n:02}/{name}".rstrip("/") for n, (_, name, *_) in enumerate(self.CHANGES)]
        for place, (_, name, _, change) in zip(places, self.CHANGES):
            if name:
                keep_time(os.path.dirname(root + place), lambda p=place, c=change: c(root + p))
            else:
                change(root + place)
        faults = self.verb("verify", code=1)["faults"]
        expected = {place: prop for place, (_, _, prop, _) in zip(places, self.CHANGES)}
        for place in places:
            if expected[place] != "additional":
                expected[place] += ": not as unpacked"
            if place.endswith("/moved"):
                expected[place[:-5] + ("f" if int(place[:2]) < 22 else "gone")] = "missing"
        self.assertEqual({fault["path"]: fault["fault"] for fault in faults}, expected)
        self.assertEqual({(fault["image"], fault["layer"]) for fault in faults}, {("test", images.digest(made))})

    def test_verify_names_all_properties_that_differ(self):
        made = archive(entry("file", data=b"a"), directory("type"), directory("d"), entry("d/f"))
        self.loaded(self.image(made).write_all())
        root = f"{self.store}/layers/{images.digest(made)[7:]}/"

        def change():
            flip(root + "file")
            os.chmod(root + "file", 0o600)
            os.chown(root + "file", 1, 2)
            os.utime(root + "file", (0, 0))
            os.rmdir(root + "type")
            os.mkfifo(root + "type")

        keep_time(root, change)
        done = case.run("image", "verify", "--store", self.store)
        layer = "test: " + images.digest(made)
        self.assertEqual(done.returncode, 1)
        self.assertEqual(
            sorted(done.stdout.splitlines()[:-1]),
            [f"{layer}: /file: content, mode, owner, time: not as unpacked", f"{layer}: /type: type: not as unpacked"],
        )

    def test_verify_finds_what_is_gone(self):
        made = archive(*(one for n in "abc" for kind in ("links", "whiteout") for one in self.described(kind, n)))
        self.loaded(self.image(made).write_all())
        root = f"{self.store}/layers/{images.digest(made)[7:]}/"
        gone = []
        for name in ("a/z", "b/gone", "c/h"):
            keep_time(os.path.dirname(root + name), lambda n=name: os.unlink(root + n))
            gone.append((name, "missing"))
            faults = self.verb("verify", code=1)["faults"]
            self.assertEqual(sorted((f["path"], f["fault"]) for f in faults), gone)

    def test_a_directory_that_is_gone_is_one_fault(self):
        """Of long names the beginning is known."""
        long = "d" * 27 + "/" + "n" * 28
        made = archive(directory(long[:27]), directory(long), directory(long + "/x"), entry(long + "/x/y"))
        self.loaded(self.image(made).write_all())
        root = f"{self.store}/layers/{images.digest(made)[7:]}/"
        keep_time(root + long + "/x", lambda: os.unlink(root + long + "/x/y"))
        self.assertEqual([f["path"] for f in self.verb("verify", code=1)["faults"]], [long + ".../x/y"])
        keep_time(root + long[:27], lambda: shutil.rmtree(root + long))
        faults = self.verb("verify", code=1)["faults"]
        self.assertEqual([(f["path"], f["fault"]) for f in faults], [(long + "...", "missing")])

    def test_records_of_older_stores_are_verified_as_before(self):
        """They know neither names nor times; this one was written by such a version."""
        made = archive(directory("a"), entry("a/file", data=bytes(range(100))), hardlink("a/again", "a/file"),
                       entry("a/suid", data=b"x", mode=0o4755, owner=(5, 6)), symlink("a/link", "file"),
                       entry("a/fifo", layers.FIFO))
        self.loaded(self.image(made).write_all())
        place = self.store + "/layers/" + images.digest(made)[7:]
        with open(place + ".sums", "wb") as file:
            file.write(bytes.fromhex("aea8fb803bd3867fb27ecad6be11f28d01d88c64e033e9c96b35ca1c6ba588f1"))
        with open(place + ".json", encoding="utf-8") as file:
            notes = json.load(file)
        self.assertEqual(notes.pop("sums"), 3)
        with open(place + ".json", "w", encoding="utf-8") as file:
            json.dump(notes, file)
        found = self.verb("verify")
        self.assertEqual((found["faults"], found["files"]), ([], 4))
        os.utime(place + "/a/suid", (0, 0))
        self.assertEqual(self.verb("verify")["faults"], [])
        os.chmod(place + "/a/suid", 0o755)
        self.assertEqual([fault["path"] for fault in self.verb("verify", code=1)["faults"]], ["a/suid"])

    def test_records_without_properties_are_verified_as_before(self):
        """They tell which names differ, not in what; this one was written by such a version."""
        made = archive(directory("a"), entry("a/file", data=bytes(range(100))), hardlink("a/again", "a/file"),
                       entry("a/suid", data=b"x", mode=0o4755, owner=(5, 6)), symlink("a/link", "file"),
                       entry("a/fifo", layers.FIFO), entry(".wh.gone"))
        self.loaded(self.image(made).write_all())
        place = self.store + "/layers/" + images.digest(made)[7:]
        sums = bytes.fromhex(
            "04217496ffbb390bf732ab5e9adb0d3f7ea2e6afe6d21c56fd89b9f1f416525b8acc58295c72ddb9f60328dda6c740bd"
            "3d7a8fc3d9db7fcb189d80f973611eec"
        )
        with open(place + ".sums", "wb") as file:
            file.write(sums)
        with open(place + ".json", "r+", encoding="utf-8") as file:
            notes = json.load(file) | {"sums": 2}
            file.seek(0)
            file.truncate()
            json.dump(notes, file)
        found = self.verb("verify")
        self.assertEqual((found["faults"], found["files"]), ([], 4))
        os.utime(place + "/a/suid", (0, 0))
        fault = self.verb("verify", code=1)["faults"][0]
        self.assertEqual(fault["path"], "a/suid")
        self.assertIn("its content, type, mode, owner, time, links or attributes differ", fault["fault"])
        keep_time(place + "/a", lambda: os.unlink(place + "/a/again"))
        faults = [(f["path"], f["fault"]) for f in self.verb("verify", code=1)["faults"]]
        self.assertIn(("", "1 names or more are missing"), faults)

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
        self.assertIn(("caf?", "missing"), [(fault["path"], fault["fault"]) for fault in faults])

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
