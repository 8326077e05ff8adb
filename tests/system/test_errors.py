"""Bad input: one clear line that names what and where, an exit status, nothing half done."""

import json
import os
import shutil
import subprocess

from harness import case, host, images
from harness.tasks import SUCCESS


class BadSurroundings(case.SystemTest):
    """The agent, started where it cannot work."""

    def agent(self, *words, **options):
        return case.run("agent", "--share-store", *words, **options)

    def place(self, **changes):
        """Options for a good agent, some of them replaced."""
        options = {
            "tasks": self.courses.directory,
            "store": case.shared_store(),
            "tmpdir": self.directory + "/tmp",
            **changes,
        }
        return [word for key, value in options.items() for word in ("--" + key, value)]

    def test_a_missing_store(self):
        self.assert_one_line(self.agent(*self.place(store="/nonexistent/store"), "tcp://[::1]:1"), "/nonexistent/store")

    def test_a_directory_that_is_no_store(self):
        os.mkdir(self.directory + "/empty")
        done = self.agent(*self.place(store=self.directory + "/empty"), "tcp://[::1]:1")
        self.assert_one_line(done, self.directory + "/empty")

    def test_a_store_of_another_format(self):
        store = self.directory + "/future"
        shutil.copytree(case.shared_store(), store, symlinks=True, ignore=shutil.ignore_patterns("layers"))
        os.mkdir(store + "/layers")
        with open(store + "/format", "w", encoding="ascii") as file:
            file.write("999\n")
        self.assert_one_line(self.agent(*self.place(store=store), "tcp://[::1]:1"), store)

    def test_a_missing_tasks_directory(self):
        done = self.agent(*self.place(tasks="/nonexistent/tasks"), "tcp://[::1]:1")
        self.assert_one_line(done, "/nonexistent/tasks")

    def test_a_tasks_directory_that_is_a_file(self):
        done = self.agent(*self.place(tasks="/etc/passwd"), "tcp://[::1]:1")
        self.assert_one_line(done, "/etc/passwd")

    def test_a_temporary_directory_in_use(self):
        first = self.start_agent()
        self.assert_one_line(self.agent(*self.place(tmpdir=first.tmpdir), "tcp://[::1]:1"), first.tmpdir, "in use")

    def test_a_store_in_use(self):
        images.make_raw(self.directory + "/raw")
        store = self.directory + "/store"
        case.run("image", "load", "--store", store, f"oci:{self.directory}/raw:raw")
        first = ["agent", *self.place(store=store, tmpdir=self.directory + "/first"), self.backend.address]
        with subprocess.Popen([case.DOCKLESS, *first], stderr=subprocess.DEVNULL) as agent:
            self.backend.wait_hello()
            second = self.place(store=store)
            done = case.run("agent", *second, "tcp://[::1]:1")
            # Who grades is no agent.
            graded = case.run("grade", *second, "--env", "raw", self.courses.says("course/task", SUCCESS))
            agent.terminate()
        self.assert_one_line(done, store, "in use", "--share-store")
        self.assertEqual(graded.returncode, 0, graded.stderr)

    def test_a_temporary_directory_that_cannot_be_made(self):
        done = self.agent(*self.place(tmpdir="/proc/nope/tmp"), "tcp://[::1]:1")
        self.assert_one_line(done, "scratch: /proc cannot be the upper layer")

    def test_an_unknown_user(self):
        done = self.agent(*self.place(user="no-such-user"), "tcp://[::1]:1")
        self.assert_one_line(done, "no-such-user")

    def test_root_as_the_agents_user_is_refused(self):
        self.assert_one_line(self.agent(*self.place(user="root"), "tcp://[::1]:1"), "root")

    def test_without_root(self):
        self.courses.add("course/task")
        nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
        for verb, words in (
            ("agent", [*self.place(), "--share-store", "tcp://[::1]:1"]),
            ("grade", [*self.place(), "course/task"]),
        ):
            done = subprocess.run(
                [*nobody, case.DOCKLESS, verb, *words],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            self.assert_one_line(done, f"dockless {verb}: ", "root")

    def test_wrong_command_lines_exit_with_2(self):
        for words in (
            [],
            ["tcp://[::1]:1"],
            ["--tasks"],
            ["--nonsense", "tcp://[::1]:1"],
            ["--concurrency", "0", "--tasks", "/", "tcp://[::1]:1"],
            ["--concurrency", "many", "--tasks", "/", "tcp://[::1]:1"],
            ["--tasks", "/", "tcp://[::1]:1", "one-too-many"],
        ):
            done = self.agent(*words)
            self.assertEqual(done.returncode, 2, (words, done.stderr))
            self.assertIn("dockless agent", done.stderr)

    def config(self, text):
        path = self.directory + "/agent.yaml"
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return self.agent("--config", path, *self.place(), "tcp://[::1]:1"), path

    def test_yaml_that_is_none_is_named_with_its_line(self):
        done, path = self.config("concurrency: 2\nfriendly_name: [unclosed\n")
        self.assert_one_line(done, path + ":")

    def test_an_unknown_key_is_named_with_its_line(self):
        done, path = self.config("concurrency: 2\n\nnonsense: 1\n")
        self.assert_one_line(done, f"{path}:3:", "nonsense")

    def test_a_value_of_a_wrong_type_is_named_with_its_line(self):
        done, path = self.config("concurrency: many\n")
        self.assert_one_line(done, f"{path}:1:", "concurrency")

    def test_a_missing_configuration_file_that_was_asked_for(self):
        done = self.agent("--config", "/nonexistent.yaml", *self.place(), "tcp://[::1]:1")
        self.assert_one_line(done, "/nonexistent.yaml")


class BadImages(case.SystemTest):
    """`image load` of layouts with one fault each, into a store that must not change."""

    def setUp(self):
        super().setUp()
        self.store = self.directory + "/store"
        images.make_raw(self.directory + "/good", "good")
        self.assertEqual(self.load(self.directory + "/good", "good").returncode, 0)
        self.layout = images.make_raw(self.directory + "/bad", "bad")
        # Another layer than the good one's, so that it has to be unpacked.
        files = {**images.busybox_files(), "another": b"file"}
        self.layout.add("bad", [images.layer(files)], images.environment_labels("bad"))
        self.before = self.content()

    def load(self, directory, reference):
        return case.run("image", "load", "--store", self.store, f"oci:{directory}:{reference}")

    def content(self):
        """All names below the store, with sizes."""
        found = []
        for path, directories, files in os.walk(self.store):
            found += [os.path.join(path, name) for name in directories]
            found += [(os.path.join(path, name), os.lstat(os.path.join(path, name)).st_size) for name in files]
        return sorted(map(str, found))

    def assert_refused(self, *parts):
        self.assert_one_line(self.load(self.layout.directory, "bad"), *parts)
        self.assertEqual(self.content(), self.before, "the store changed")
        listed = case.run("image", "list", "--store", self.store, "--format", "json")
        self.assertEqual(listed.returncode, 0, listed.stderr)
        self.assertNotIn("bad", listed.stdout)

    def blob(self, descriptor):
        return os.path.join(self.layout.directory, self.layout.blob_name(descriptor["digest"]))

    def test_the_good_one_would_load(self):
        self.assertEqual(self.load(self.layout.directory, "bad").returncode, 0)

    def test_a_truncated_layer(self):
        descriptor = self.layout.manifest["layers"][0]
        os.truncate(self.blob(descriptor), descriptor["size"] // 2)
        self.assert_refused(descriptor["digest"][7:19])

    def test_a_layer_with_one_changed_byte(self):
        descriptor = self.layout.manifest["layers"][0]
        with open(self.blob(descriptor), "r+b") as file:
            file.seek(descriptor["size"] // 2)
            byte = file.read(1)
            file.seek(-1, os.SEEK_CUR)
            file.write(bytes([byte[0] ^ 1]))
        self.assert_refused(descriptor["digest"][7:19])

    def test_a_layer_longer_than_announced(self):
        descriptor = self.layout.manifest["layers"][0]
        with open(self.blob(descriptor), "ab") as file:
            file.write(b"\0" * 512)
        self.assert_refused(descriptor["digest"][7:19])

    def test_a_missing_layer(self):
        descriptor = self.layout.manifest["layers"][0]
        os.unlink(self.blob(descriptor))
        self.assert_refused(descriptor["digest"][7:19])

    def test_a_layer_that_unpacks_to_something_else(self):
        """Digest and size of the blob are right; the diffID of the configuration is another's."""
        kind = "application/vnd.oci.image."
        config = json.loads(host.read(self.blob(self.layout.manifest["config"])))
        config["rootfs"]["diff_ids"] = [images.digest(b"something else")]
        manifest = {
            **self.layout.manifest,
            "config": self.layout.blob(json.dumps(config).encode(), kind + "config.v1+json"),
        }
        descriptor = self.layout.blob(json.dumps(manifest).encode(), kind + "manifest.v1+json")
        descriptor["annotations"] = {"org.opencontainers.image.ref.name": "bad"}
        self.layout.write("index.json", json.dumps({"schemaVersion": 2, "manifests": [descriptor]}).encode())
        self.assert_refused(manifest["layers"][0]["digest"][7:19], "diffID")

    def test_a_manifest_with_another_digest(self):
        path = self.layout.directory + "/index.json"
        index = json.loads(host.read(path))
        index["manifests"][0]["digest"] = images.digest(b"another")
        self.layout.write("index.json", json.dumps(index).encode())
        self.assert_refused(images.digest(b"another")[7:19])

    def test_an_index_that_is_no_json(self):
        self.layout.write("index.json", b'{"schemaVersion": 2, "manifests": [')
        self.assert_refused("index.json")

    def test_an_index_that_is_no_index(self):
        for content in (b"[]", b"7", b'{"schemaVersion": 2}', b'{"manifests": 3}', b""):
            self.layout.write("index.json", content)
            self.assert_refused("index.json")

    def test_a_missing_index(self):
        os.unlink(self.layout.directory + "/index.json")
        self.assert_refused("index.json")

    def test_a_reference_that_is_not_there(self):
        done = self.load(self.layout.directory, "nope")
        self.assert_one_line(done, "nope")
        self.assertEqual(self.content(), self.before)

    def test_a_missing_layout(self):
        self.assert_one_line(self.load("/nonexistent/layout", "x"), "/nonexistent/layout")

    def test_a_reference_of_an_unknown_kind(self):
        done = case.run("image", "load", "--store", self.store, "nonsense:/x")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("nonsense", done.stderr)


if __name__ == "__main__":
    case.main()
