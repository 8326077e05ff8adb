#!/usr/bin/python3
"""recompile.py: each of our C files compiled once more, otherwise than preset dev does it. What the
compiler says is printed; nothing is written.

    tests/lint/recompile.py analyzer    gcc -fanalyzer: the program's own files
    tests/lint/recompile.py arm64       for that machine, as far as it goes without its libraries

Needs build/dev/compile_commands.json."""

import concurrent.futures
import json
import os
import re
import shlex
import subprocess
import sys

ROOT = os.path.realpath(os.path.join(os.path.dirname(__file__), "../.."))
ARM64 = "aarch64-linux-gnu-gcc"

# Leaks are LeakSanitizer's: gcc 12 takes what is put into a list, or freed by a cleanup attribute
# after a fork, for lost (strv_append(), launcher_start()), some sixty times. Uninitialized values are
# clang-tidy's: gcc 12 loses pointers that are freed through a void ** (read_index(), pin_slots()).
# Everything else counts.
ANALYZER = [
    "-fanalyzer",
    "-Wno-analyzer-malloc-leak",
    "-Wno-analyzer-file-leak",
    "-Wno-analyzer-use-of-uninitialized-value",
]


def commands(folders):
    """(directory, words without output and -c) of each file of ours below FOLDERS, once."""
    with open(f"{ROOT}/build/dev/compile_commands.json", encoding="utf-8") as file:
        database = json.load(file)
    seen = set()
    for entry in database:
        path = os.path.relpath(entry["file"], ROOT)
        if path in seen or path.split("/")[0] not in folders:
            continue
        seen.add(path)
        words = shlex.split(entry["command"])
        if os.path.basename(words[0]) == "ccache":
            words.pop(0)
        at = words.index("-o")
        del words[at : at + 2]
        words.remove("-c")
        yield entry["directory"], words


def analyzer():
    for directory, words in commands(("runtime", "src", "images")):
        yield directory, ["gcc", *words[1:], *ANALYZER, "-S", "-o", "/dev/null"]


def arm64():
    # Names of system calls are made of the compiler's own headers, as src/CMakeLists.txt does it.
    headers = subprocess.run(
        [ARM64, "-dM", "-E", "-include", "sys/syscall.h", "-x", "c", "/dev/null"],
        check=True, capture_output=True, text=True,
    ).stdout
    generated = f"{ROOT}/build/arm64/generated"
    os.makedirs(generated, exist_ok=True)
    with open(generated + "/syscall_names.h", "w", encoding="ascii") as file:
        for name in re.findall(r"^#define __NR_([a-z0-9_]+) [0-9]", headers, re.MULTILINE):
            file.write(f"CALL({name})\n")
    # Headers of libraries are this machine's: behind those of arm64's libc, and only declarations
    # count. OpenSSL alone has one that differs.
    machine = subprocess.run(
        ["gcc", "-print-multiarch"], check=True, capture_output=True, text=True
    ).stdout.strip()
    libraries = ["-idirafter", "/usr/include", "-idirafter", "/usr/include/" + machine]
    for directory, words in commands(("runtime", "src", "images", "tests")):
        yield directory, [ARM64, "-I" + generated, *words[1:], *libraries, "-fsyntax-only"]


def compile_one(job):
    directory, words = job
    done = subprocess.run(words, cwd=directory, check=False, capture_output=True, text=True)
    return done.returncode == 0 and not done.stderr, done.stderr


def main():
    kind = {"analyzer": analyzer, "arm64": arm64}[sys.argv[1]]
    good = True
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for fine, text in pool.map(compile_one, kind()):
            sys.stderr.write(text)
            good = good and fine
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
