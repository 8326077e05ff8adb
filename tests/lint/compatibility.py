#!/usr/bin/python3
"""Every test that the tables of docs/compatibility.md name exists, and no row is without one; likewise
the tables of hostile images in docs/security.md, where the texts are those that the tests look for, too."""

import os
import re
import sys

HEADS = ("| behaviour |", "| upstream |", "| an image has |", "| a layer has |")


def body(root, name):
    """What the test does, or "" where there is no such test."""
    kind, file, case = re.match(r"([a-z]+)\.([a-z0-9_]+)[./](\w+)$", name).groups()
    path, words = f"{root}/tests/{kind}/test_{file}.py", rf"^    def test_{case}\(.*?(?=^    def |\Z)"
    if not os.path.exists(path):
        path, words = f"{root}/tests/{kind}/test_{file}.c", rf"^static void {case}\("
    try:
        with open(path, encoding="utf-8") as source:
            found = re.search(words, source.read(), re.MULTILINE | re.DOTALL)
    except FileNotFoundError:
        return ""
    return found.group() if found else ""


def spans(cell):
    return re.findall(r"`([^`]+)`", cell)


def check_row(root, line, with_texts):
    """What is wrong with a row of a table."""
    *_, said, tests = line.rstrip(" |").rsplit("|", 2)
    names = spans(tests)
    wrong = [name for name in names if not re.match(r"(system\.\w+\.|(unit|runtime)\.\w+/)\w+$", name)]
    wrong += [name for name in names if name not in wrong and not body(root, name)]
    if wrong or not names:
        return [f"no such test: {', '.join(wrong) or '(none is named)'}"]
    looked_for = "".join(body(root, name) for name in names)
    return [f"no test looks for: {text}" for text in spans(said) if with_texts and text not in looked_for]


def check(root, path, with_texts=False):
    faults = 0
    with open(f"{root}/{path}", encoding="utf-8") as document:
        lines = document.read().splitlines()
    inside = not with_texts
    for number, line in enumerate(lines, 1):
        if line.startswith(HEADS):
            inside = True
        elif with_texts and not line.startswith("|"):
            inside = False
        elif inside and line.startswith("| "):
            for fault in check_row(root, line, with_texts):
                faults += 1
                print(f"{path}:{number}: {fault}")
    return faults


def main():
    root = sys.argv[1]
    faults = check(root, "docs/compatibility.md") + check(root, "docs/security.md", with_texts=True)
    sys.exit(1 if faults else 0)


main()
