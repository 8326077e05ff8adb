#!/usr/bin/python3
"""Unpacking an image: dockless beside umoci, skopeo + bsdtar and tar, interleaved, medians.

    tests/bench/unpack.py [--rounds N] [--dockless PROGRAM] [--in DIRECTORY] [--sync] LAYOUT:REFERENCE...

Each round runs every program once on every image, in turn, into a fresh directory below DIRECTORY
(default /dev/shm, so that the disk does not decide; removed afterwards, outside the clock, as is the
writing of what earlier ones left to be written). dockless verifies all digests and, unlike the others,
waits until the disk has everything; with --sync "sync -f" lets the others wait for it, too. On ext4
without a journal whatever is made within minutes of such a removal takes many times as long, and is
all that is measured: take another file system."""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import tempfile
import time

HERE = os.path.dirname(os.path.realpath(__file__))


def quiet(*words):
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def blobs(directory):
    """The layers' files of a copied image, and the way tar names their compression."""
    with open(directory + "/manifest.json", encoding="utf-8") as file:
        layers = json.load(file)["layers"]
    return [f"{directory}/{layer['digest'].split(':')[1]}" for layer in layers]


class Contest:
    def __init__(self, dockless, layout, reference):
        self.dockless, self.layout, self.reference = dockless, layout, reference
        with open(layout + "/index.json", encoding="utf-8") as file:
            manifests = json.load(file)["manifests"]
        name = "org.opencontainers.image.ref.name"
        digest = next(m["digest"] for m in manifests if m["annotations"][name] == reference)
        with open(f"{layout}/blobs/{digest.replace(':', '/')}", encoding="utf-8") as file:
            self.layers = json.load(file)["layers"]

    def has_zstd(self):
        return any(layer["mediaType"].endswith("zstd") for layer in self.layers)

    def run_dockless(self, place):
        quiet(self.dockless, "image", "load", "--store", place, f"oci:{self.layout}:{self.reference}")

    def run_umoci(self, place):
        quiet("umoci", "unpack", "--image", f"{self.layout}:{self.reference}", place)

    def run_skopeo_and_bsdtar(self, place):
        os.mkdir(place)
        copy, root = place + "/copy", place + "/root"
        os.mkdir(root)
        quiet("skopeo", "copy", f"oci:{self.layout}:{self.reference}", f"dir:{copy}")
        for blob in blobs(copy):
            quiet("bsdtar", "-xpf", blob, "-C", root)

    def run_tar(self, place):
        os.mkdir(place)
        for layer in self.layers:
            kind = layer["mediaType"]
            how = ["-z"] if kind.endswith("gzip") else ["--zstd"] if kind.endswith("zstd") else []
            blob = f"{self.layout}/blobs/{layer['digest'].replace(':', '/')}"
            quiet("tar", *how, "-xpf", blob, "-C", place)

    programs = {
        "dockless": run_dockless,
        "umoci": run_umoci,
        "skopeo+bsdtar": run_skopeo_and_bsdtar,
        "tar (no digests)": run_tar,
    }


def measure(contest, name, scratch, sync):
    place = f"{scratch}/out"
    quiet("sync", "-f", scratch)
    before = os.times()
    start = time.monotonic()
    Contest.programs[name](contest, place)
    if sync and name != "dockless":
        quiet("sync", "-f", place)
    wall = time.monotonic() - start
    after = os.times()
    shutil.rmtree(place)
    cpu = sum(after[2:4]) - sum(before[2:4])
    return wall, cpu


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--dockless", default=f"{HERE}/../../build/release/src/dockless")
    parser.add_argument("--in", dest="place", default="/dev/shm")
    parser.add_argument("--sync", action="store_true", help="the others wait for the disk, too")
    parser.add_argument("--only", action="append", choices=list(Contest.programs))
    parser.add_argument("images", nargs="+", metavar="LAYOUT:REFERENCE")
    words = parser.parse_args()
    contests = [Contest(words.dockless, *image.split(":", 1)) for image in words.images]
    names = words.only or list(Contest.programs)
    times = {}
    with tempfile.TemporaryDirectory(dir=words.place, prefix="bench-unpack.") as scratch:
        for _ in range(words.rounds):
            for image, contest in zip(words.images, contests):
                for name in names:
                    if not (name == "umoci" and contest.has_zstd()):
                        times.setdefault((image, name), []).append(measure(contest, name, scratch, words.sync))
    for image in words.images:
        print(image)
        base = statistics.median(wall for wall, _ in times[image, names[0]])
        for name in names:
            if (image, name) not in times:
                print(f"  {name:18} cannot read it")
                continue
            wall, cpu = (statistics.median(column) for column in zip(*times[image, name]))
            print(f"  {name:18} {wall:6.3f} s wall {cpu:6.3f} s CPU  x {wall / base:.2f}")


if __name__ == "__main__":
    main()
