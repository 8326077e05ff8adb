"""Layers and images made byte by byte, so that they can be as odd or as hostile as a test wants."""

import gzip
import json
import os
import subprocess

from . import images

BLOCK = 512
KIND = "application/vnd.oci.image."
DOCKER = "application/vnd.docker."
ARCHITECTURE = "amd64" if os.uname().machine == "x86_64" else "arm64"
TIME = 1_700_000_000

FILE, HARDLINK, SYMLINK, CHARACTER, BLOCK_DEVICE, DIRECTORY, FIFO = b"0", b"1", b"2", b"3", b"4", b"5", b"6"


def _pad(data):
    return data + bytes(-len(data) % BLOCK)


def _number(value, size):
    """Octal where it fits, else GNU's base-256."""
    if 0 <= value < 8 ** (size - 1):
        return b"%0*o\0" % (size - 1, value)
    return (value % 256**size | 0x80 << 8 * (size - 1)).to_bytes(size, "big")


def header(name, kind=FILE, size=0, mode=0o644, owner=(0, 0), mtime=TIME, link=b"", device=(0, 0),
           magic=b"ustar\x0000", prefix=b""):
    """One header block; names as bytes, cut to their fields."""
    block = bytearray(BLOCK)
    for offset, field in (
        (0, name[:100]),
        (100, _number(mode, 8)),
        (108, _number(owner[0], 8)),
        (116, _number(owner[1], 8)),
        (124, _number(size, 12)),
        (136, _number(mtime, 12)),
        (148, b" " * 8),
        (156, kind),
        (157, link[:100]),
        (257, magic),
        (329, _number(device[0], 8)),
        (337, _number(device[1], 8)),
        (345, prefix[:155]),
    ):
        block[offset : offset + len(field)] = field
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def pax(records, kind=b"x"):
    """An extended header of RECORDS: pairs of bytes."""
    body = b""
    for key, value in records:
        rest = b" " + key + b"=" + value + b"\n"
        length = len(rest) + 1
        while len(str(length)) + len(rest) != length:
            length = len(str(length)) + len(rest)
        body += str(length).encode() + rest
    return header(b"PaxHeaders/x", kind, len(body)) + _pad(body)


def entry(name, kind=FILE, data=b"", records=(), size=None, **fields):
    """One archive entry, with a pax header where NAME or a link needs one or RECORDS ask for it."""
    name = os.fsencode(name)
    link = os.fsencode(fields.pop("link", b""))
    records = list(records)
    if len(name) > 100:
        records.append((b"path", name))
    if len(link) > 100:
        records.append((b"linkpath", link))
    if kind == DIRECTORY and "mode" not in fields:
        fields["mode"] = 0o755
    size = len(data) if size is None else size
    block = header(name, kind, size, link=link, **fields)
    return (pax(records) if records else b"") + block + _pad(data)


def directory(name, **fields):
    return entry(name, DIRECTORY, **fields)


def symlink(name, target, **fields):
    return entry(name, SYMLINK, link=target, mode=fields.pop("mode", 0o777), **fields)


def hardlink(name, target, **fields):
    return entry(name, HARDLINK, link=target, **fields)


def archive(*entries):
    return b"".join(entries) + bytes(2 * BLOCK)


def zstd(data):
    done = subprocess.run(["zstd", "-q", "-c"], input=data, check=True, capture_output=True)
    return done.stdout


def fast_gzip(data):
    return gzip.compress(data, 1, mtime=0)


PLAIN = ("tar", bytes)
GZIP = ("tar+gzip", fast_gzip)
ZSTD = ("tar+zstd", zstd)


class Image(images.Layout):
    """An OCI layout. The documents are plain data until write_all(), so that a test can break them
    in between; what it changes afterwards does not fit the digests any more."""

    def __init__(self, where, layers=(), compression=GZIP, name="test", labels=None):
        super().__init__(where)
        self.name = name
        media_type, compress = compression
        blobs = [compress(tar) for tar in layers]
        self.config = {
            "created": images.CREATED,
            "architecture": ARCHITECTURE,
            "os": "linux",
            "config": {"Cmd": ["/init"], "Labels": labels or {}},
            "rootfs": {"type": "layers", "diff_ids": [images.digest(tar) for tar in layers]},
        }
        self.manifest = {
            "schemaVersion": 2,
            "mediaType": KIND + "manifest.v1+json",
            "config": None,
            "layers": [self.blob(blob, KIND + "layer.v1." + media_type) for blob in blobs],
        }
        self.descriptor = {"annotations": {"org.opencontainers.image.ref.name": name}}
        self.index = {"schemaVersion": 2, "manifests": [self.descriptor]}

    def json_blob(self, document, media_type):
        return self.blob(json.dumps(document).encode(), KIND + media_type)

    def write_manifest(self):
        if self.manifest["config"] is None:
            self.manifest["config"] = self.json_blob(self.config, "config.v1+json")
        self.descriptor |= self.json_blob(self.manifest, "manifest.v1+json")

    def write_index(self):
        self.write("index.json", json.dumps(self.index).encode())

    def write_all(self):
        self.write_manifest()
        self.write_index()
        return self

    def path(self, descriptor):
        return os.path.join(self.directory, self.blob_name(descriptor["digest"]))

    @property
    def reference(self):
        return f"oci:{self.directory}:{self.name}"
