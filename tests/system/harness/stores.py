"""The base of tests that load images into stores of their own."""

import json
import os
import shutil
import tempfile
import unittest

from . import case, layers, trees


class StoreTest(unittest.TestCase):
    def setUp(self):
        if os.geteuid() != 0:
            self.skipTest("needs root")
        self.directory = tempfile.mkdtemp(prefix="dockless-image.")
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)
        self.store = self.directory + "/store"
        self.images = 0

    # -- images and loading

    def image(self, *archives, **options):
        """An image of these archives, lowest first, not written yet."""
        self.images += 1
        return layers.Image(f"{self.directory}/image-{self.images}", archives, **options)

    def load(self, image, *options, store=None):
        """Loads an image or a reference; a CompletedProcess."""
        reference = image if isinstance(image, str) else image.reference
        return case.run("image", "load", "--store", store or self.store, *options, reference)

    def loaded(self, image, *options, store=None):
        """Loads what must load; the image as `image load --format json` prints it."""
        done = self.load(image, "--format", "json", *options, store=store)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return json.loads(done.stdout)

    def tree(self, *archives, **options):
        """The tree that a container of these archives sees."""
        return trees.of_image(self.store, self.loaded(self.image(*archives, **options).write_all()))

    def listed(self):
        done = case.run("image", "list", "--store", self.store, "--format", "json")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return json.loads(done.stdout)

    # -- what a store looks like

    def contents(self):
        """Everything in the store, except when tmp/ was last used."""
        if not os.path.exists(self.store):
            return {}
        found = trees.tree(self.store)
        found["tmp"].pop("mtime")
        return found

    def assert_refused(self, image, *parts, options=()):
        """Loading fails with one line that says all PARTS, and the store stays as it is; that line."""
        before = self.contents()
        done = self.load(image, *options)
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertEqual(done.stdout, "")
        self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
        for part in ("dockless image load: ", *parts):
            self.assertIn(part, done.stderr)
        self.assertEqual(trees.difference(before, self.contents()), [])
        return done.stderr

    def make_store(self):
        """A store with one image in it, so that there is something to spoil."""
        archive = layers.archive(layers.directory("etc"), layers.entry("etc/good", data=b"good\n"))
        self.loaded(self.image(archive, name="good").write_all())
