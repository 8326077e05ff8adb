#!/usr/bin/python3
"""Every library that a configuration of the build requires is among the packages of `scripts/setup build`.

scripts/demo installs that group only: on a bare machine the build would not get past its configuration otherwise, and on
a machine where somebody had installed more nobody would see it.
"""

import pathlib
import re
import subprocess
import sys


def output(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def package_of(library):
    directory = output("pkg-config", "--variable=pcfiledir", library).strip()
    # A package may say /lib for what is in /usr/lib: asked by name, not by path.
    path = pathlib.Path(directory, library + ".pc").resolve().as_posix()
    return output("dpkg", "-S", "*" + path.removeprefix("/usr")).split(":")[0]


def main():
    root = pathlib.Path(sys.argv[1])
    installed = set(output(root / "scripts/setup", "--list", "build").split())
    required = set()
    files = [root / "CMakeLists.txt"]
    for directory in ("src", "runtime", "images", "tests"):
        files += (root / directory).rglob("CMakeLists.txt")
    for path in files:
        text = path.read_text(encoding="utf-8")
        required |= set(re.findall(r"pkg_check_modules\(\w+ REQUIRED IMPORTED_TARGET ([\w.-]+)\)", text))
    if not required:
        print("no required library found: is the pattern right?")
        return 1
    faults = 0
    for library in sorted(required):
        package = package_of(library)
        if package not in installed:
            print(f"{library}: the build requires it, scripts/setup has {package} not in its group 'build'")
            faults += 1
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
