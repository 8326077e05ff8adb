"""Hostile layers (security.md, row 16): each is refused with one line that names layer, entry and
rule, and the store is as before; or it does no more than it may."""

import os
import re
import struct
import subprocess

from harness import case, layers, stores, trees
from harness.layers import (
    BLOCK,
    BLOCK_DEVICE,
    CHARACTER,
    DIRECTORY,
    HARDLINK,
    SYMLINK,
    archive,
    directory,
    entry,
    hardlink,
    header,
    pax,
    symlink,
)


class Hostile(stores.StoreTest):
    def setUp(self):
        super().setUp()
        self.make_store()
        self.canary = self.directory + "/canary"
        with open(self.canary, "w", encoding="ascii") as file:
            file.write("alive")
        self.outside = trees.describe(self.canary)

    def refused(self, *parts, entries=None, tar=None, name=None, options=(), whole=False):
        image = self.image(archive(*entries) if tar is None else tar).write_all()
        where = f"{image.directory}: layer {image.manifest['layers'][0]['digest']}: "
        error = self.assert_refused(image, where, *parts, options=options)
        self.assertEqual(trees.describe(self.canary), self.outside)
        if whole:  # the rule is about no entry
            return
        # The rule comes last, and which entry: its name, or where it begins if that cannot be read.
        shown = r'"[^"]*"|at byte [0-9]+' if name is None else f'"{re.escape(name)}"'
        self.assertRegex(error, f"{re.escape(where)}entry ({shown}): [^\n]+\n$")
        self.assertEqual(trees.describe(self.canary), self.outside)

    # -- names

    def test_dot_dot(self):
        for name in ("../canary", "a/../../canary", "..", "a/..", "/../canary", "./../x"):
            self.refused('the name has ".." in it', entries=[entry(name)], name=name)

    def test_absolute_names_stay_inside(self):
        tree = self.tree(archive(entry(self.canary, data=b"dead"), directory("/x")))
        self.assertIn(self.canary[1:], tree)
        self.assertEqual(trees.describe(self.canary), self.outside)

    def test_long_and_deep_names(self):
        self.refused("longer than 255 bytes", entries=[entry("x" * 256)])
        self.refused("more than 256 directories deep", entries=[entry("d/" * 256 + "x")])
        self.refused("longer than 4095 bytes", entries=[entry("d/" * 2100 + "x")])
        self.refused("it has no name", tar=archive(entry("")))

    def test_names_with_control_characters_are_shown_harmlessly(self):
        self.refused(entries=[entry("a\x1b[2J\n../b/..")], name="a\\x1b[2J\\x0a../b/..")

    # -- links

    def test_symbolic_links_lead_nowhere_outside(self):
        for target in (self.directory, "../../../../../../.." + self.directory):
            self.refused(
                "its directory is a link that leads to none in this layer",
                entries=[symlink("out", target), entry("out/canary", data=b"dead")],
                name="out/canary",
            )

    def test_symbolic_link_is_not_written_through(self):
        tree = self.tree(archive(symlink("link", self.canary), entry("link", data=b"dead")))
        self.assertEqual(tree["link"]["type"], "file")
        self.assertEqual(trees.describe(self.canary), self.outside)

    def test_attributes_do_not_go_through_a_link(self):
        self.tree(archive(symlink("link", self.canary, owner=(7, 7), mode=0o7777, mtime=1)))
        self.assertEqual(trees.describe(self.canary), self.outside)

    def test_loop_of_links(self):
        self.refused("a loop of links", entries=[symlink("a", "b"), symlink("b", "a"), entry("a/x")])

    def test_hard_links_to_what_is_not_in_the_layer(self):
        rule = "a hard link to a file that is not in this layer"
        for target in (self.canary, "etc/good", "missing/file", "/etc/passwd", "/proc/self/exe"):
            self.refused(rule, entries=[hardlink("link", target)], name="link")
        self.refused(
            rule, entries=[symlink("d", "/"), hardlink("x", "d" + self.canary)], name="x"
        )
        for target in ("../canary", "a/../.."):
            self.refused('the name has ".." in it', entries=[hardlink("link", target)], name="link")
        for target in (".", "/", "", ".wh.x"):
            self.refused("hard link", entries=[hardlink("link", target)], name="link")

    def test_hard_link_to_a_directory(self):
        self.refused("a hard link to a directory", entries=[directory("d"), hardlink("x", "d")])

    def test_hard_link_to_a_whiteout(self):
        entries = [entry(".wh.file"), hardlink("x", "file")]
        self.refused("that is not in this layer", entries=entries, name="x")

    def test_hard_link_to_a_link_is_that_link(self):
        tree = self.tree(archive(symlink("a", self.canary), hardlink("b", "a", mode=0o7777)))
        self.assertEqual(tree["b"]["target"], self.canary)
        self.assertEqual(trees.describe(self.canary), self.outside)

    # -- the root

    def test_root_that_is_no_directory(self):
        for name in (".", "/", "./", "//"):
            for kind in (SYMLINK, HARDLINK, CHARACTER):
                self.refused("root can only be a directory", entries=[entry(name, kind, link="/tmp")])
        self.refused("root can only be a directory", entries=[entry(".", data=b"x")])

    def test_parents_that_are_no_directories(self):
        for kind in (entry("a", data=b"x"), entry("a", layers.FIFO)):
            self.refused("its directory is something else", entries=[kind, entry("a/b")], name="a/b")

    # -- whiteouts

    def test_whiteouts_of_nothing(self):
        for name in (".wh.", ".wh..", ".wh...", "d/.wh."):
            self.refused("a whiteout of nothing", entries=[entry(name)], name=name)
        for name in (".wh./", ".wh./x", ".wh.d/x", ".wh..wh..opq/x"):
            self.refused(entries=[entry(name, DIRECTORY)], name=name)
        for name in (".wh..wh.plnk", ".wh..wh.x", ".wh..wh."):
            self.refused('begins with ".wh."', entries=[entry(name)], name=name)

    def test_whiteouts_that_are_no_files(self):
        for kind in (DIRECTORY, SYMLINK, CHARACTER, BLOCK_DEVICE, layers.FIFO):
            for name in (".wh.x", ".wh..wh..opq"):
                self.refused("a whiteout that is not a file", entries=[entry(name, kind, link="y")])

    def test_whiteout_devices_of_the_archive_hide_nothing(self):
        lower = archive(entry("file", data=b"kept"))
        upper = archive(entry("file", CHARACTER, device=(0, 0)))
        self.assertEqual(self.tree(lower, upper)["file"]["type"], "file")

    def test_overlay_attributes(self):
        for name in (b"trusted.overlay.opaque", b"trusted.overlay.redirect", b"user.overlay.opaque"):
            records = [(b"SCHILY.xattr." + name, b"y")]
            for made in (directory("d", records=records), entry("d", records=records),
                         symlink("d", "x", records=records)):
                self.refused("would steer overlayfs", entries=[made], name="d")

    def test_other_attributes_are_dropped_and_counted(self):
        names = [b"trusted.x", b"system.posix_acl_access", b"security.selinux", b"security.ima"]
        records = [(b"SCHILY.xattr." + name, b"value") for name in names]
        made = self.loaded(self.image(archive(entry("f", records=records))).write_all())
        self.assertEqual(made["dropped_xattrs"], len(names))
        layer = f"{self.store}/layers/{made['layers'][0].split(':')[1]}"
        self.assertEqual(os.listxattr(layer + "/f"), [])

    # -- devices, owners

    def test_device_nodes_are_dropped_and_counted(self):
        devices = [
            entry("dev/mem", CHARACTER, device=(1, 1), mode=0o666),
            entry("dev/sda", BLOCK_DEVICE, device=(8, 0), mode=0o666),
            entry("nowhere/null", CHARACTER, device=(1, 3)),
        ]
        image = self.image(archive(directory("dev"), *devices)).write_all()
        made = self.load(image)
        self.assertIn("3 device nodes were not unpacked", made.stdout)
        tree = trees.of_image(self.store, self.listed()[1])
        self.assertEqual(sorted(tree), ["", "dev"])

    def test_owners_outside_the_range(self):
        for owner in ((65536, 0), (0, 65536), (1 << 20, 0)):
            self.refused("is outside 0..65535", entries=[entry("f", owner=owner)], name="f")
        records = [(b"uid", b"4294967295")]
        self.refused("is outside 0..65535", entries=[entry("f", records=records)], name="f")
        for value in (b"-1", b"x", b"18446744073709551616"):
            self.refused('pax record "uid"', entries=[entry("f", records=[(b"uid", value)])])

    # -- bombs

    def test_size_bombs(self):
        rule = "bytes in the layer's files"
        records = [(b"size", b"9223372036854775807")]
        self.refused(rule, entries=[entry("f", records=records)], name="f")
        self.refused(rule, entries=[entry("f", size=1 << 40)], name="f")
        for records in (
            [(b"GNU.sparse.major", b"1"), (b"GNU.sparse.minor", b"0"),
             (b"GNU.sparse.realsize", b"1099511627776")],
            [(b"GNU.sparse.size", b"1099511627776"), (b"GNU.sparse.map", b"0,0")],
        ):
            data = b"0\n" + bytes(510) if records[0][1] == b"1" else b""
            self.refused(rule, entries=[entry("f", data=data, records=records)], name="f")

    def test_sparse_maps_that_lie(self):
        size = (b"GNU.sparse.size", b"1000")
        for records, data in (
            ([size, (b"GNU.sparse.map", b"0,512")], b""),
            ([size, (b"GNU.sparse.map", b"900,200")], bytes(200)),
            ([size, (b"GNU.sparse.map", b"500,10,0,10")], bytes(20)),
            ([size, (b"GNU.sparse.map", b"5,10,6,10")], bytes(20)),
            ([size, (b"GNU.sparse.map", b"18446744073709551615,2")], bytes(2)),
            ([size, (b"GNU.sparse.map", b"5")], bytes(5)),
            ([size, (b"GNU.sparse.numbytes", b"5")], bytes(5)),
            ([size, (b"GNU.sparse.offset", b"5")], bytes(5)),
            ([(b"GNU.sparse.major", b"1"), size], b"x\n"),
            ([(b"GNU.sparse.major", b"1"), size], b"999999999999999999999\n"),
            ([(b"GNU.sparse.major", b"1"), size], b"3\n1\n"),
            ([(b"GNU.sparse.major", b"2"), size], b"0\n"),
        ):
            self.refused(entries=[entry("f", data=data, records=records)])
        regions = b",".join(b"%d,0" % n for n in range(70000))
        self.refused("regions in a sparse file", entries=[entry("f", records=[(b"GNU.sparse.map", regions)])])

    def test_pax_bombs(self):
        self.refused("more than 1048576 bytes in one extended header", entries=[entry("f", records=[(b"comment", b"x" * (1 << 21))])])
        self.refused("more than", tar=header(b"x", b"x", 1 << 40))
        self.refused("more than", tar=header(b"x", b"L", 1 << 40))
        self.refused("is longer than", entries=[entry("f", records=[(b"path", b"x" * 5000)])])
        many = [(b"SCHILY.xattr.user.%d" % n, b"") for n in range(65)]
        self.refused("more than 64 extended attributes", entries=[entry("f", records=many)])
        large = [(b"SCHILY.xattr.user.%d" % n, b"x" * 40000) for n in range(2)]
        self.refused("more than 65536 bytes of extended attributes", entries=[entry("f", records=large)])

    # -- bounds that whoever runs the host sets

    def test_bounds_can_be_set(self):
        """Each holds where it was set, its error says which one and how to raise it, and one more lets
        the same layer in."""
        xattrs = [(b"SCHILY.xattr.user.%d" % n, b"x" * 10) for n in range(3)]
        sparse = [(b"GNU.sparse.size", b"9"), (b"GNU.sparse.map", b"0,1,2,1,4,1")]
        for bound, most, what, highest, entries in (
            ("stream", 2047, "bytes when decompressed", 1 << 42, [entry("f", data=b"x" * 5)]),
            ("files", 9, "bytes in the layer's files", 1 << 42, [entry("f", data=b"x" * 5), entry("g", data=b"x" * 5)]),
            ("entries", 2, "entries in the layer", 8000000, [entry("f"), entry("g"), entry("h")]),
            ("names", 3, "bytes of directory names in the layer", 256 << 20, [directory("d"), directory("e")]),
            ("path", 9, "bytes in its name", 4095, [entry("d/e/123456")]),
            ("name", 5, "bytes in a component of its name", 255, [entry("123/123456")]),
            ("depth", 3, "directories deep", 512, [entry("d/e/f/g")]),
            ("xattrs", 2, "extended attributes", 1024, [entry("f", records=xattrs)]),
            ("xattr-bytes", 47, "bytes of extended attributes", 1 << 20, [entry("f", records=xattrs)]),
            ("header", 103, "bytes in one extended header", 16 << 20, [entry("f", records=[(b"comment", b"x" * 91)])]),
            ("regions", 2, "regions in a sparse file", 4 << 20, [entry("f", data=b"abc", records=sparse)]),
        ):
            rule = f"more than {most} {what} (--bound {bound}=N allows up to {highest})"
            self.refused(rule, entries=entries, options=("--bound", f"{bound}={most}"), whole=bound == "stream")
            with self.subTest(bound=bound):
                image = self.image(archive(*entries), name="bounded").write_all()
                self.loaded(image, "--bound", f"{bound}={most + 1}")
                self.remove_layers("bounded")

    def remove_layers(self, name):
        for verb, words in (("rm", [name]), ("prune", [])):
            done = case.run("image", verb, "--store", self.store, *words)
            self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_bounds_of_the_configuration_file(self):
        deep = [entry("d/" * 300 + "x")]
        rule = "more than 256 directories deep (--bound depth=N allows up to 512)"
        self.refused(rule, entries=deep)
        config = self.directory + "/agent.yaml"
        with open(config, "w", encoding="utf-8") as file:
            file.write("image-bounds:\n  depth: 301\n  stream: 1M\n")
        self.loaded(self.image(archive(*deep)).write_all(), "--config", config)
        bomb = archive(entry("f", data=bytes(2 << 20)))
        self.refused("bytes when decompressed", tar=bomb, options=("--config", config), whole=True)
        self.loaded(self.image(bomb).write_all(), "--config", config, "--bound", "stream=3M")

    def test_bounds_that_are_none(self):
        image = self.image(archive(entry("f"))).write_all()
        for value, reason in (
            ("depth", '"depth" is not of the form NAME=VALUE'),
            ("width=1", 'there is no bound "width"'),
            ("depth=513", '"depth" must be between 1 and 512'),
            ("depth=0", '"depth" must be between 1 and 512'),
            ("stream=x", '"stream" must be a size such as 64M'),
        ):
            self.assert_refused(image, reason, options=("--bound", value))
        config = self.directory + "/agent.yaml"
        for text, reason in (
            ("image-bounds: {width: 1}", 'agent.yaml:1:16: unknown key "width"'),
            ("image-bounds: {depth: 513}", 'agent.yaml:1:23: "depth" must be between 1 and 512'),
        ):
            with open(config, "w", encoding="utf-8") as file:
                file.write(text)
            self.assert_refused(image, reason, options=("--config", config))
        self.assert_refused(image, "nowhere: No such file", options=("--config", "/nowhere"))

    def test_damaged_pax_records(self):
        for body in (b"5 a=b\n", b"999 path=x\n", b"x path=x\n", b"6 a=b", b"6 =bb\n", b"0 \n", b"\n",
                     b"9 path=a\0\n", b"99999999999999999999 a=b\n", b"8 abcde\n"):
            tar = header(b"x", b"x", len(body)) + body.ljust(BLOCK, b"\0") + archive(entry("f"))
            self.refused("pax record", tar=tar)

    def test_damaged_archives(self):
        good = archive(entry("f", data=b"x" * 2000))
        self.refused("ends in the middle", tar=good[: 3 * BLOCK])
        self.refused("ends in the middle", tar=good[:100])
        self.refused("ends in the middle", tar=pax([(b"path", b"x")]) + bytes(2 * BLOCK))
        self.refused("wrong checksum", tar=b"x" + good[1:])
        self.refused("a lone block of zeros", tar=bytes(BLOCK) + good)
        self.refused("entry type", tar=archive(entry("f", kind=b"V")))
        self.refused("entry type", tar=archive(entry("f", kind=b"\xff")))
        block = bytearray(header(b"f"))
        block[124:136] = struct.pack(">BBBBQ", 0xFF, 255, 255, 255, (1 << 64) - 1)
        block[148:156] = b" " * 8
        block[148:156] = b"%06o\0 " % sum(block)
        self.refused("damaged header (size)", tar=bytes(block))

    def test_names_bomb(self):
        # Times of directories are set last, so their names are remembered: 17,000 of 4,015 bytes.
        name = "/".join(["d" * 250] * 16)
        made = directory(name)
        self.refused("bytes of directory names in the layer", tar=archive(made * 17000))

    def test_layers_that_fill_the_disk(self):
        # A file system of its own that is too small; what had been written goes again.
        os.mkdir(self.directory + "/small")
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", self.directory + "/small"], check=True
        )
        self.addCleanup(subprocess.run, ["umount", self.directory + "/small"], check=True)
        self.store = self.directory + "/small/store"
        self.make_store()
        entries = [directory("a"), entry("a/large", data=bytes(4 << 20))]
        self.refused("write: No space left on device", entries=entries, name="a/large")


if __name__ == "__main__":
    case.main()
