"""Hostile and broken images (security.md, row 15): each is refused with one line, the store is as
before."""

import json
import os

from harness import case, images, layers, stores
from harness.layers import KIND, archive, entry

LAYER = archive(entry("file", data=b"content\n" * 1000))


class Refusals(stores.StoreTest):
    def setUp(self):
        super().setUp()
        self.make_store()

    def broken(self, change, *parts):
        """The image after CHANGE(image), which may set image.written."""
        image = self.image(LAYER)
        change(image)
        self.assert_refused(image.write_all(), f"oci:{image.directory}: ", *parts)

    def broken_manifest(self, *parts, **fields):
        self.broken(lambda image: image.manifest.update(fields), "manifest sha256:", *parts)

    def broken_layer(self, *parts, **fields):
        self.broken(
            lambda image: image.manifest["layers"][0].update(fields), "manifest sha256:", *parts
        )

    def broken_config(self, *parts, **fields):
        self.broken(lambda image: image.config.update(fields), "configuration sha256:", *parts)

    def broken_index(self, *parts, **fields):
        image = self.image(LAYER)
        image.write_manifest()
        image.index.update(fields)
        image.write_index()
        self.assert_refused(image, "index.json: ", *parts)

    # -- the directory

    def test_what_is_no_layout(self):
        self.assert_refused("oci:/nonexistent", "oci:/nonexistent: open: No such file")
        self.assert_refused("oci:/dev/null", "Not a directory")
        self.assert_refused(f"oci:{self.directory}", "not an OCI image layout")

    def test_layout_file(self):
        for content, part in (
            (b"", "oci-layout: empty"),
            (b"[]", "expected a JSON object"),
            (b"{}", "oci-layout: imageLayoutVersion: missing"),
            (b'{"imageLayoutVersion": "2.0.0"}', "expected 1.x"),
            (b'{"imageLayoutVersion": 1}', "expected a string"),
            (b'{"imageLayoutVersion": "1.0.0"}' + b" " * 5000, "larger than 4096 bytes"),
        ):
            image = self.image(LAYER).write_all()
            image.write("oci-layout", content)
            self.assert_refused(image, part)

    def test_index_that_is_no_index(self):
        for content, part in (
            (b"", "index.json: empty"),
            (b"{", "index.json: line 1"),
            (b'{"schemaVersion": 2, "schemaVersion": 2}', "duplicate object key"),
            (b'{"a": "\\u0000"}', "index.json: line 1"),
            (b'{"a": "\xff"}', "index.json: line 1"),
            (b'{"a": ' + b"[" * 100000 + b"}", "index.json: line 1"),
            (b'{"schemaVersion": 2, "manifests": []}', "there is no image"),
            (b"{}" + b" " * (4 << 20), "index.json: larger than 4194304 bytes"),
        ):
            image = self.image(LAYER).write_all()
            image.write("index.json", content)
            self.assert_refused(image, part)
        image = self.image(LAYER)
        self.assert_refused(image, "index.json: No such file")

    def test_index_fields(self):
        self.broken_index("schemaVersion: missing", schemaVersion=None)
        self.broken_index("schemaVersion: expected 2", schemaVersion=1)
        self.broken_index("schemaVersion: 3 is more than 2", schemaVersion=3)
        self.broken_index("manifests: expected an array", manifests={})
        self.broken_index("manifests[0]: expected an object", manifests=["x"])
        self.broken_index("manifests[0].mediaType: missing", manifests=[{}])
        self.broken_index("manifests: 5000 elements", manifests=[{}] * 5000)
        self.broken_index("mediaType: ", mediaType=KIND + "manifest.v1+json")
        for key, value, part in (
            ("digest", "sha256:../../../etc/passwd", "expected sha256:HEX"),
            ("digest", "sha256:" + "A" * 64, "expected sha256:HEX"),
            ("digest", "sha256:" + "a" * 63, "expected sha256:HEX"),
            ("digest", "md5:" + "a" * 32, "expected sha256:HEX"),
            ("digest", 5, "expected a string"),
            ("size", -1, "expected a non-negative integer"),
            ("size", "1", "expected a non-negative integer"),
            ("size", 1.5, "expected a non-negative integer"),
            ("size", 1 << 62, "is more than"),
            ("size", 1 << 64, "index.json: line 1: too big integer"),
            ("annotations", [], "expected an object"),
            ("platform", {"os": "linux"}, "platform.architecture: missing"),
        ):
            image = self.image(LAYER)
            image.write_manifest()
            image.descriptor[key] = value
            image.write_index()
            self.assert_refused(image, "index.json: ", part)

    def test_type_confusion(self):
        # CVE-2021-41190: one document that is an index for one reader and a manifest for another.
        self.broken_index("layers: does not belong in ", layers=[])
        self.broken_index("config: does not belong in ", config={})
        self.broken_manifest("manifests: does not belong in ", manifests=[])
        self.broken_manifest("fsLayers: does not belong in ", fsLayers=[])
        self.broken_manifest("mediaType: ", "image.index.v1", mediaType=KIND + "image.index.v1+json")

        def claims_index(image):
            del image.manifest["mediaType"]
            image.write_manifest()
            image.descriptor["mediaType"] = KIND + "index.v1+json"
            image.write_manifest = lambda: None

        self.broken(claims_index, "does not belong in")

    def test_nested_indexes_are_bounded(self):
        image = self.image(LAYER)
        image.write_manifest()
        inner = image.descriptor
        for _ in range(5):
            inner = image.json_blob({"schemaVersion": 2, "manifests": [inner]}, "index.v1+json")
        image.index["manifests"] = [
            inner | {"annotations": {"org.opencontainers.image.ref.name": "test"}}
        ]
        image.write_index()
        self.assert_refused(image, "nested more than 4 deep")

    def test_names_in_nested_indexes(self):
        """A name may stand at any level; two images of it are refused, as at the top."""
        image = self.image(LAYER)
        image.write_manifest()
        name = "org.opencontainers.image.ref.name"
        inner = image.descriptor | {"annotations": {name: "deep"}}
        other = image.json_blob(image.manifest | {"annotations": {"other": "one"}}, "manifest.v1+json")
        twice = other | {"annotations": {name: "twice"}}
        for entries in ([inner, twice], [image.descriptor | {"annotations": {name: "twice"}}]):
            nested = image.json_blob({"schemaVersion": 2, "manifests": entries}, "index.v1+json")
            nested = image.json_blob({"schemaVersion": 2, "manifests": [nested]}, "index.v1+json")
            image.index["manifests"].append(nested | {"annotations": {name: f"level-{len(entries)}"}})
        image.write_index()
        self.assertEqual(self.loaded(f"oci:{image.directory}:deep")["digest"], image.descriptor["digest"])
        self.assert_refused(f"oci:{image.directory}:twice", "several images bear this name")
        self.assert_refused(f"oci:{image.directory}:none", 'there is no image "none"')

    def test_index_that_contains_itself(self):
        # With a digest that fits, it cannot; a reader that did not check would go round for ever.
        image = self.image(LAYER)
        digest = "sha256:" + "0" * 64
        loop = {"mediaType": KIND + "index.v1+json", "digest": digest, "size": 0}
        document = {"schemaVersion": 2, "manifests": [loop]}
        loop["size"] = len(json.dumps(document)) + 2
        image.write(image.blob_name(digest), json.dumps(document).encode().ljust(loop["size"]))
        image.index["manifests"] = [
            loop | {"annotations": {"org.opencontainers.image.ref.name": "test"}}
        ]
        image.write_index()
        self.assert_refused(image, f"index {digest}: digest mismatch")

    # -- manifest and configuration

    def test_manifest_fields(self):
        self.broken_manifest("layers: expected an array", layers={})
        self.broken_manifest("layers: empty", layers=[])
        self.broken_manifest("layers: 513 elements", layers=[{}] * 513)
        self.broken_manifest("layers[0]: expected an object", layers=[1])
        self.broken_manifest("config: expected an object", config=[])
        self.broken_manifest("config.digest: missing", config={"mediaType": "x", "size": 0})
        self.broken_layer("layers[0].size: expected a non-negative integer", size=-5)
        self.broken_layer("layers[0].digest: expected sha256:HEX", digest="sha256:x/../../y")
        self.broken_layer("layers[0].mediaType: missing", mediaType=None)

    def test_manifest_that_is_too_large(self):
        self.broken_manifest("larger than 4194304 bytes", x=" " * (4 << 20))

    def test_artifacts_are_no_images(self):
        image = self.image(LAYER)
        image.manifest["config"] = image.json_blob({}, "empty.v1+json")
        self.assert_refused(image.write_all(), "config.mediaType: ", "an artifact, not an image")

    def test_foreign_and_unknown_layers(self):
        for media_type in (
            KIND + "layer.nondistributable.v1.tar+gzip",
            layers.DOCKER + "image.rootfs.foreign.diff.tar.gzip",
        ):
            self.broken_layer("layers[0].mediaType: ", "a foreign layer", mediaType=media_type)
        self.broken_layer("is not a layer type known here", mediaType=KIND + "layer.v1.tar+lzip\n")

    def test_configuration_fields(self):
        good = {"type": "layers", "diff_ids": [images.digest(LAYER)]}
        self.broken_config("rootfs: missing", rootfs=None)
        self.broken_config("rootfs.type: expected", rootfs=good | {"type": "squash"})
        self.broken_config("rootfs.diff_ids: expected an array", rootfs=good | {"diff_ids": "x"})
        self.broken_config("rootfs.diff_ids: 0 entries", rootfs=good | {"diff_ids": []})
        self.broken_config("rootfs.diff_ids[0]: expected", rootfs=good | {"diff_ids": ["sha256:/"]})
        self.broken_config("os: missing", os=None)
        self.broken_config("not linux", os="windows")
        self.broken_config("and this machine is " + layers.ARCHITECTURE, architecture="s390x")
        self.broken_config("created: expected a string", created=5)
        self.broken_config("config: expected an object", config=[])
        self.broken_config("config.Env: expected an array", config={"Env": "A=b"})
        self.broken_config("config.Env[1]: expected a string", config={"Env": ["A=b", 5]})
        self.broken_config("config.Cmd: 4097 elements", config={"Cmd": ["x"] * 4097})
        self.broken_config("config.User: expected a string", config={"User": 0})
        self.broken_config("config.Labels: expected an object", config={"Labels": []})
        self.broken_config('config.Labels["a"]: expected', config={"Labels": {"a": None}})
        self.broken_config("config.WorkingDir: longer than", config={"WorkingDir": "x" * (1 << 18)})

    # -- blobs

    def spoil(self, change, *parts, which="layers"):
        """CHANGE(path) is done to a finished image's blob."""
        for compression in (layers.GZIP, layers.PLAIN, layers.ZSTD):
            image = self.image(LAYER, compression=compression).write_all()
            descriptor = image.manifest["layers"][0] if which == "layers" else image.manifest["config"]
            change(image.path(descriptor if which != "manifest" else image.descriptor))
            self.assert_refused(image, *parts)

    def flip(self, path):
        with open(path, "r+b") as file:
            file.seek(20)
            byte = file.read(1)
            file.seek(20)
            file.write(bytes([byte[0] ^ 1]))

    def test_flipped_bit(self):
        self.spoil(self.flip, "layer sha256:", "digest mismatch: the blob's content is sha256:")
        self.spoil(self.flip, "configuration sha256:", "digest mismatch", which="config")
        self.spoil(self.flip, "manifest sha256:", "digest mismatch", which="manifest")

    def test_wrong_sizes(self):
        self.spoil(lambda path: os.truncate(path, 30), "the blob has 30 bytes, its descriptor says")

        def append(path):
            with open(path, "ab") as file:
                file.write(b"x")

        self.spoil(append, "bytes, its descriptor says")
        self.spoil(append, "bytes, its descriptor says", which="manifest")

    def test_missing_blobs(self):
        self.spoil(os.remove, "layer sha256:", "the blob is missing (blobs/sha256/")
        self.spoil(os.remove, "configuration sha256:", "the blob is missing", which="config")
        self.spoil(os.remove, "manifest sha256:", "the blob is missing", which="manifest")

    def test_blobs_that_are_no_files(self):
        def link(path):
            os.rename(path, path + ".moved")
            os.symlink(path + ".moved", path)

        def replace(make):
            return lambda path: (os.remove(path), make(path))

        self.spoil(link, "a symbolic link")
        self.spoil(replace(os.mkfifo), "not a regular file")
        self.spoil(replace(os.mkdir), "not a regular file")
        self.spoil(replace(lambda path: os.mknod(path, 0o20644, os.makedev(1, 5))), "not a regular file")

    def test_layers_that_are_not_what_the_configuration_says(self):
        image = self.image(LAYER)
        image.config["rootfs"]["diff_ids"] = [images.digest(b"something else")]
        self.assert_refused(image.write_all(), "diffID mismatch: the decompressed content is sha256:")

    def test_only_the_bytes_behind_the_archive_differ(self):
        # An archive reader stops at the end mark; the diffID is that of all of it.
        image = self.image(LAYER + b"more")
        image.config["rootfs"]["diff_ids"] = [images.digest(LAYER)]
        self.assert_refused(image.write_all(), "diffID mismatch")

    def damaged(self, compress, *parts):
        image = self.image(LAYER, compression=("tar+" + compress[0], compress[1]))
        self.assert_refused(image.write_all(), "layer sha256:", *parts)

    def test_damaged_gzip(self):
        whole = layers.fast_gzip(LAYER)
        wrong_sum = whole[:-8] + bytes([whole[-8] ^ 1]) + whole[-7:]
        wrong_size = whole[:-1] + bytes([whole[-1] ^ 1])
        for blob in (whole[:40], whole[:-1], whole[:5], b"", wrong_sum, wrong_size, LAYER,
                     whole + b"x", whole + b"\0" * 10, b"\x1f\x8b" + bytes(200)):
            self.damaged(("gzip", lambda tar, b=blob: b), "gzip stream" if blob not in (
                whole[:40], whole[:-1], whole[:5], b"", whole + b"x") else "stream")

    def test_damaged_zstd(self):
        whole = layers.zstd(LAYER)
        flipped = whole[:-1] + bytes([whole[-1] ^ 1])
        for blob in (whole[:20], whole[:-1], b"", flipped, LAYER, whole + b"garbage"):
            self.damaged(("zstd", lambda tar, b=blob: b), "stream")

    def test_zstd_window_bomb(self):
        # A frame header that asks for a window of 2 GiB: refused before memory is taken.
        blob = b"\x28\xb5\x2f\xfd" + bytes([0x00, (31 - 10) << 3]) + bytes(10)
        self.damaged(("zstd", lambda tar: blob), "damaged zstd stream")


if __name__ == "__main__":
    case.main()
