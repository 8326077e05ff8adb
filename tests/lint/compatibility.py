#!/usr/bin/python3
"""Every test that docs/compatibility.md names exists, and no row of its tables is without one."""

import os
import re
import sys


def exists(root, name):
    kind, file, case = re.match(r"([a-z]+)\.([a-z0-9_]+)[./](\w+)$", name).groups()
    python = f"{root}/tests/{kind}/test_{file}.py"
    if os.path.exists(python):
        path, words = python, rf"^    def test_{case}\("
    else:
        path, words = f"{root}/tests/{kind}/test_{file}.c", rf"^static void {case}\("
    try:
        with open(path, encoding="utf-8") as source:
            return re.search(words, source.read(), re.MULTILINE) is not None
    except FileNotFoundError:
        return False


def main():
    root = sys.argv[1]
    faults = 0
    with open(root + "/docs/compatibility.md", encoding="utf-8") as document:
        lines = document.read().splitlines()
    for number, line in enumerate(lines, 1):
        if not line.startswith("| ") or line.startswith(("| behaviour |", "| upstream |")):
            continue
        names = re.findall(r"`([^`]+)`", line.rstrip(" |").rsplit("|", 1)[1])
        wrong = [name for name in names if not re.match(r"(system\.\w+\.|(unit|runtime)\.\w+/)\w+$", name)]
        wrong += [name for name in names if name not in wrong and not exists(root, name)]
        if wrong or not names:
            faults += 1
            print(f"docs/compatibility.md:{number}: no such test: {', '.join(wrong) or '(none is named)'}")
    sys.exit(1 if faults else 0)


main()
