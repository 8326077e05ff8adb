"""Where images are loaded from: archives and directories as other tools write them."""

import io
import json
import os
import shutil
import subprocess
import tarfile

from harness import case, images, layers, stores, trees
from harness.layers import archive, directory, entry

BASE = archive(directory("etc"), entry("etc/release", data=b"base\n"))
MIDDLE = archive(entry("etc/motd", data=b"hello\n"))
TOP = archive(entry("etc/.wh.release"), entry("etc/.new", data=b"new\n"))
CONFIG = {
    "created": images.CREATED,
    "architecture": layers.ARCHITECTURE,
    "os": "linux",
    "config": {"Cmd": ["/init"], "Labels": {"a": "b"}},
}


def tar(files):
    """An archive of name -> bytes, or ("link", target)."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as written:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            if isinstance(content, tuple):
                info.type, info.linkname = tarfile.SYMTYPE, content[1]
                content = b""
            info.size = len(content)
            written.addfile(info, io.BytesIO(content))
    return out.getvalue()


def config_of(tars):
    diff_ids = [images.digest(one) for one in tars]
    return json.dumps(CONFIG | {"rootfs": {"type": "layers", "diff_ids": diff_ids}}).encode()


def old_docker(tars, tags=("busybox:latest",)):
    """What docker save wrote before version 25: a directory a layer, twice the same as a link."""
    config = config_of(tars)
    files = {images.digest(config).split(":")[1] + ".json": config}
    names = []
    for number, one in enumerate(tars):
        name = f"{number:064x}/layer.tar"
        first = tars.index(one)
        files[f"{number:064x}/VERSION"] = b"1.0"
        files[name] = one if first == number else ("link", f"../{first:064x}/layer.tar")
        names.append(name)
    entry_ = {"Config": images.digest(config).split(":")[1] + ".json", "RepoTags": list(tags), "Layers": names}
    return files, entry_


def new_docker(tars, tags=("busybox:latest",)):
    """What docker save writes since: blobs as in an OCI layout."""
    files = {"blobs/" + images.digest(one).replace(":", "/"): one for one in [config_of(tars), *tars]}
    names = list(files)
    return files, {"Config": names[0], "RepoTags": list(tags), "Layers": names[1:]}


class Sources(stores.StoreTest):
    def file(self, data, name="image.tar"):
        path = f"{self.directory}/{name}"
        with open(path, "wb") as file:
            file.write(data)
        return path

    def docker(self, *images_, name="image.tar"):
        files = {}
        for some, _ in images_:
            files |= some
        files["manifest.json"] = json.dumps([e for _, e in images_]).encode()
        return self.file(tar(files), name)

    def check(self, loaded, tars):
        """What was loaded is the tree and configuration of the same layers in a layout."""
        expected = self.loaded(self.image(*tars, name="expected").write_all())
        self.assertEqual(loaded["layers"][: len(tars)], expected["layers"][: len(tars)])
        self.assertEqual(loaded["cmd"], ["/init"])
        self.assertEqual(
            trees.difference(trees.of_image(self.store, loaded), trees.of_image(self.store, expected)), []
        )

    # -- archives

    def test_oci_archive(self):
        image = self.image(BASE, TOP, name="v1").write_all()
        path = self.directory + "/some.tar"
        with tarfile.open(path, "w") as written:
            written.add(image.directory, ".")
        loaded = self.loaded(f"oci-archive:{path}:v1")
        self.assertEqual((loaded["name"], loaded["digest"]), ("v1", image.descriptor["digest"]))
        self.assertEqual(self.loaded(f"oci-archive:{path}")["name"], "some")
        self.check(loaded, [BASE, TOP])

    def test_docker_save_old_and_new(self):
        for kind, make in (("old", old_docker), ("new", new_docker)):
            path = self.docker(make([BASE, MIDDLE, TOP]), name=kind + ".tar")
            loaded = self.loaded(f"docker-archive:{path}")
            self.assertEqual(loaded["name"], kind)
            self.assertEqual(loaded["digest"], loaded["id"])
            self.assertEqual(loaded["id"], images.digest(config_of([BASE, MIDDLE, TOP])))
            self.check(loaded, [BASE, MIDDLE, TOP])

    def test_docker_save_of_a_layer_that_comes_twice(self):
        loaded = self.loaded(f"docker-archive:{self.docker(old_docker([BASE, MIDDLE, BASE]))}")
        self.assertEqual(loaded["layers"][:2], [images.digest(MIDDLE), images.digest(BASE)])

    def test_compressed_layers_of_docker_archives(self):
        for compress in (layers.fast_gzip, layers.zstd):
            config = config_of([BASE])
            name = images.digest(config).split(":")[1] + ".json"
            files = {name: config, "x.tar": compress(BASE)}
            path = self.docker((files, {"Config": name, "RepoTags": None, "Layers": ["x.tar"]}))
            self.check(self.loaded(f"docker-archive:{path}"), [BASE])
            shutil.rmtree(self.store)

    def test_docker_names(self):
        path = self.docker(
            new_docker([BASE], ["busybox:latest", "busybox:1.36"]),
            new_docker([MIDDLE], ["host:5000/x/y:v2"]),
            new_docker([TOP], []),
        )
        for name in ("busybox", "busybox:1.36", "docker.io/library/busybox:latest", "docker.io/busybox", "@0"):
            loaded = self.loaded(f"docker-archive:{path}:{name}", "--name", "x")
            self.assertEqual(loaded["layers"], [images.digest(BASE)], name)
        loaded = self.loaded(f"docker-archive:{path}:host:5000/x/y:v2")
        self.assertEqual(loaded["name"], "host:5000/x/y:v2")
        self.assertEqual(loaded["layers"][0], images.digest(MIDDLE))
        self.assertEqual(self.loaded(f"docker-archive:{path}:@2")["layers"][0], images.digest(TOP))
        for reference, reason in (
            ("", "several images"),
            (":busybox:2", 'there is no image "busybox:2"'),
            (":@3", "there is no image @3, only 3"),
        ):
            self.assert_refused(f"docker-archive:{path}{reference}", "manifest.json: ", reason)

    def test_archives_that_are_none(self):
        self.make_store()
        good = tar(old_docker([BASE])[0])
        twice = good.rstrip(b"\0") + bytes(-len(good.rstrip(b"\0")) % 512) + good
        for data, reason in (
            (b"", "the archive is empty"),
            (b"x" * 1000, "damaged header"),
            (layers.fast_gzip(good), "compressed; decompress it first (gzip -d)"),
            (layers.zstd(good), "compressed; decompress it first (zstd -d)"),
            (good, 'not written by "docker save"'),
            (good[: len(good) // 2 - 512], "the archive ends in the middle"),
            (twice, "stands in the archive twice"),
        ):
            self.assert_refused(f"docker-archive:{self.file(data)}", "docker-archive:", reason)
        self.assert_refused(f"oci-archive:{self.file(good)}", "not an OCI image layout")
        self.assert_refused(f"docker-archive:{self.directory}", "not a regular file")
        os.mkfifo(self.directory + "/fifo")
        self.assert_refused(f"docker-archive:{self.directory}/fifo", "not a regular file")

    def test_names_in_archives_lead_nowhere_outside(self):
        """A hostile archive names files of the host, loops and directories."""
        self.make_store()
        files, listed = old_docker([BASE])
        layer = listed["Layers"][0]
        for target, reason in (
            ("/etc/passwd", "the blob is missing"),
            ("../../../../../../etc/passwd", "the blob is missing"),
            ("layer.tar", "too many links"),
        ):
            path = self.docker((files | {layer: ("link", target)}, listed))
            self.assert_refused(f"docker-archive:{path}", reason)
        for name in ("/etc/passwd", "../../../../etc/passwd", "manifest.json/x", "x\x1b[2J"):
            path = self.docker((files, listed | {"Layers": [name]}))
            self.assert_refused(f"docker-archive:{path}", "the blob is missing")

    def test_docker_documents_that_are_wrong(self):
        self.make_store()
        files, good = old_docker([BASE])
        config = good["Config"]
        for document, reason in (
            ({}, "expected a JSON array"),
            ([], "it has no image"),
            ([1], "expected objects"),
            ([good | {"Config": 1}], "Config: expected"),
            ([good | {"Config": ""}], "Config: expected"),
            ([good | {"Layers": []}], "Layers: empty"),
            ([good | {"Layers": [""]}], "Layers[0]: expected"),
            ([good | {"Layers": ["x"] * 513}], "Layers: 513 elements, at most 512"),
            ([good | {"Layers": good["Layers"] * 2}], "2 layers"),
            ([good | {"Config": "manifest.json"}], "digest mismatch"),
        ):
            path = self.file(tar(files | {"manifest.json": json.dumps(document).encode()}))
            self.assert_refused(f"docker-archive:{path}", reason)
        changed = files | {config: files[config].replace(b"/init", b"/evil")}
        self.assert_refused(f"docker-archive:{self.docker((changed, good))}", "digest mismatch")
        layer = good["Layers"][0]
        changed = files | {layer: files[layer].replace(b"base", b"evil")}
        self.assert_refused(f"docker-archive:{self.docker((changed, good))}", "diffID mismatch")

    # -- what skopeo writes

    def skopeo(self, *words):
        if not shutil.which("skopeo"):
            self.skipTest("needs skopeo")
        subprocess.run(["skopeo", "--insecure-policy", "copy", "-q", *words], check=True, capture_output=True)

    def test_what_skopeo_writes(self):
        image = self.image(BASE, MIDDLE, TOP, name="v1").write_all()
        source = image.reference
        place = self.directory + "/copy"
        for words in (
            [f"dir:{place}"],
            [f"oci-archive:{place}.oci.tar:v1"],
            [f"docker-archive:{place}.docker.tar:busybox:v1"],
            [f"oci:{place}.zstd:v1", "--dest-compress-format", "zstd"],
            [f"oci:{place}.plain:v1", "--dest-oci-accept-uncompressed-layers", "--dest-decompress"],
            [f"dir:{place}.docker", "--format", "v2s2"],
        ):
            self.skopeo(source, *words)
            self.check(self.loaded(words[0], "--name", "copied"), [BASE, MIDDLE, TOP])

    def test_directories_of_images_for_several_platforms(self):
        image = self.image(BASE, name="v1").write_all()
        image.descriptor["platform"] = {"os": "linux", "architecture": layers.ARCHITECTURE}
        self.skopeo(image.reference, f"dir:{self.directory}/copy")
        digest = image.descriptor["digest"].split(":")[1]
        copy = self.directory + "/copy/"
        os.rename(copy + "manifest.json", f"{copy}{digest}.manifest.json")
        other = image.descriptor | {"platform": {"os": "linux", "architecture": "s390x"}}
        with open(copy + "manifest.json", "w", encoding="utf-8") as file:
            json.dump({"schemaVersion": 2, "manifests": [other, image.descriptor]}, file)
        self.assertEqual(self.loaded(f"dir:{copy}")["digest"], image.descriptor["digest"])


if __name__ == "__main__":
    case.main()
