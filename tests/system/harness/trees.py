"""Trees as plain data, to be compared: everything that a layer can say about a file. As a program,
it mounts a stack of layers as overlayfs, in a mount namespace of its own, and prints the tree as
JSON:

    trees.py LAYERS_DIRECTORY TOPMOST... LOWEST
"""

import ctypes
import hashlib
import json
import os
import stat
import subprocess
import sys
import tempfile

CLONE_NEWNS = 0x00020000
MS_REC_PRIVATE = 0x4000 | (1 << 18)
TYPES = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "directory",
    stat.S_IFLNK: "symlink",
    stat.S_IFIFO: "fifo",
    stat.S_IFCHR: "character device",
    stat.S_IFBLK: "block device",
    stat.S_IFSOCK: "socket",
}


def _xattrs(path):
    names = os.listxattr(path, follow_symlinks=False)
    kept = [name for name in names if name.startswith("user.") or name == "security.capability"]
    return {name: os.getxattr(path, name, follow_symlinks=False).hex() for name in sorted(kept)}


def describe(path, links=None):
    """One file; LINKS maps inodes to the first name seen."""
    st = os.lstat(path)
    found = {
        "type": TYPES[stat.S_IFMT(st.st_mode)],
        "mode": oct(stat.S_IMODE(st.st_mode)),
        "owner": [st.st_uid, st.st_gid],
        "mtime": st.st_mtime_ns,
        "xattrs": _xattrs(path),
    }
    if stat.S_ISREG(st.st_mode):
        with open(path, "rb") as file:
            found["sha256"] = hashlib.file_digest(file, "sha256").hexdigest()
        found["size"] = st.st_size
    elif stat.S_ISLNK(st.st_mode):
        found["target"] = os.fsencode(os.readlink(path)).decode("latin-1")
    elif stat.S_ISCHR(st.st_mode) or stat.S_ISBLK(st.st_mode):
        found["device"] = [os.major(st.st_rdev), os.minor(st.st_rdev)]
    if links is not None and st.st_nlink > 1 and not stat.S_ISDIR(st.st_mode):
        links.setdefault((st.st_dev, st.st_ino), []).append(path)
    return found


def tree(root):
    """path -> description; names are bytes shown as latin-1, "" is the root."""
    root = os.fsencode(root)
    links = {}
    found = {"": describe(root)}
    for directory, directories, files in os.walk(root):
        for name in directories + files:
            path = os.path.join(directory, name)
            found[os.path.relpath(path, root).decode("latin-1")] = describe(path, links)
    for paths in links.values():
        names = sorted(os.path.relpath(path, root).decode("latin-1") for path in paths)
        for name in names:
            found[name]["links"] = names
    return found


def _check(result):
    if result != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


def mounted_tree(layers_directory, topmost_first):
    """The tree of a stack of layers, mounted in a namespace of this process."""
    libc = ctypes.CDLL(None, use_errno=True)
    _check(libc.unshare(CLONE_NEWNS))
    _check(libc.mount(None, b"/", None, MS_REC_PRIVATE, None))
    with tempfile.TemporaryDirectory() as scratch:
        for name in ("empty", "root"):
            os.mkdir(f"{scratch}/{name}")
        os.chdir(layers_directory)
        options = "lowerdir=" + ":".join(topmost_first + [f"{scratch}/empty"])
        place = os.fsencode(f"{scratch}/root")
        _check(libc.mount(b"overlay", place, b"overlay", 1, options.encode()))
        try:
            return tree(place)
        finally:
            _check(libc.umount2(place, 0))


def of_image(store, image):
    """The tree that a container of IMAGE (as `image inspect --format json` prints it) sees."""
    layers = [layer.split(":")[1] for layer in reversed(image["layers"])]
    done = subprocess.run(
        [sys.executable, "-B", os.path.abspath(__file__), f"{store}/layers", *layers],
        check=True,
        capture_output=True,
    )
    return json.loads(done.stdout)


def difference(a, b, ignore=()):
    """Lines that say where two trees differ."""
    lines = []
    for path in sorted(a.keys() | b.keys()):
        if path not in a or path not in b:
            lines.append(f"{path}: only in the {'first' if path in a else 'second'}")
            continue
        for key in sorted(a[path].keys() | b[path].keys()):
            one, other = a[path].get(key), b[path].get(key)
            if one != other and (path, key) not in ignore:
                lines.append(f"{path}: {key}: {one} and {other}")
    return lines


if __name__ == "__main__":
    json.dump(mounted_tree(sys.argv[1], sys.argv[2:]), sys.stdout)
