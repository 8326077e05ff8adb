"""The fixture of the system tests: a store with the test images, made anew in the directory given;
or with those of the OCI layouts given after it."""

import shutil
import sys

from harness import case

if __name__ == "__main__":
    shutil.rmtree(sys.argv[1], ignore_errors=True)
    case.make_store(*sys.argv[1:])
