"""OCI image layouts made by hand: the smallest image that can be a grading environment, and broken
ones."""

import gzip
import hashlib
import io
import json
import os
import shutil
import tarfile

APPLETS = "sh cat grep head tail sleep echo dd printf ls id env cmp base64 sha256sum stat touch rm mkdir \
ln kill true false nproc hostname od wc tr seq yes mount umount ps setsid nohup chmod".split()

# The container's first process does whatever the task says, so that a test controls every byte that
# the agent reads.
INIT = b"#!/bin/sh\ncd /task && exec /bin/sh /task/run\n"

CREATED = "2024-01-02T03:04:05.123456789Z"
CREATED_UNIX = 1704164645


def layer(files):
    """A tar of FILES: name -> bytes (0755), None (directory), or ("link", target)."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.mode = 0o755
            if content is None:
                entry.type = tarfile.DIRTYPE
            elif isinstance(content, tuple):
                entry.type, entry.linkname = tarfile.SYMTYPE, content[1]
            else:
                entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content) if isinstance(content, bytes) else None)
    return out.getvalue()


def busybox_files():
    with open(shutil.which("busybox"), "rb") as file:
        busybox = file.read()
    directories = "bin dev etc proc root sys task tmp usr var".split()
    files = {name: None for name in directories}
    files["bin/busybox"] = busybox
    files |= {"bin/" + name: ("link", "busybox") for name in APPLETS}
    files["etc/passwd"] = b"root:x:0:0:root:/root:/bin/sh\n"
    files["etc/group"] = b"root:x:0:\n"
    files["init"] = INIT
    return files


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


class Layout:
    """An OCI image layout below DIRECTORY."""

    def __init__(self, directory):
        self.directory = directory
        os.makedirs(directory + "/blobs/sha256")
        self.write("oci-layout", b'{"imageLayoutVersion": "1.0.0"}')

    def write(self, name, data):
        with open(os.path.join(self.directory, name), "wb") as file:
            file.write(data)

    def blob(self, data, media_type):
        """Adds DATA; returns its descriptor."""
        self.write(self.blob_name(digest(data)), data)
        return {"mediaType": media_type, "digest": digest(data), "size": len(data)}

    @staticmethod
    def blob_name(value):
        return "blobs/" + value.replace(":", "/")

    def add(self, reference, layers, labels, created=CREATED, **config):
        """Adds an image with uncompressed LAYERS (tars), stored as gzip; returns its manifest's
        descriptor."""
        document = {
            "created": created,
            "architecture": "amd64" if os.uname().machine == "x86_64" else "arm64",
            "os": "linux",
            "config": {
                "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
                "Cmd": ["/init"],
                "Labels": labels,
                **config,
            },
            "rootfs": {"type": "layers", "diff_ids": [digest(tar) for tar in layers]},
            "history": [{"created": CREATED} for _ in layers],
        }
        kind = "application/vnd.oci.image."
        manifest = {
            "schemaVersion": 2,
            "mediaType": kind + "manifest.v1+json",
            "config": self.blob(json.dumps(document).encode(), kind + "config.v1+json"),
            "layers": [
                self.blob(gzip.compress(tar, 1, mtime=0), kind + "layer.v1.tar+gzip") for tar in layers
            ],
        }
        self.manifest = manifest
        descriptor = self.blob(json.dumps(manifest).encode(), manifest["mediaType"])
        descriptor["annotations"] = {"org.opencontainers.image.ref.name": reference}
        index = {"schemaVersion": 2, "manifests": [descriptor]}
        self.write("index.json", json.dumps(index).encode())
        return descriptor


def environment_labels(name, **extra):
    """Labels of EXTRA that are None are left out."""
    prefix = "org.inginious.grading."
    labels = {"name": name, "agent_version": "4", **extra}
    return {prefix + key: value for key, value in labels.items() if value is not None}


def make_raw(directory, name="raw", **labels):
    """The image `raw`: busybox, and a first process that runs the task's own script."""
    layout = Layout(directory)
    layout.add(name, [layer(busybox_files())], environment_labels(name, **labels))
    return layout
