"""The Python module of grading containers against INGInious' own: tests/data/runner/module.json was
recorded from that by tests/tools/make-runner-module-table.  And what is ours alone."""

import json
import os
import subprocess
import sys
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
MODULES = os.path.join(ROOT, "images/python/modules")
TABLE = os.path.join(ROOT, "tests/data/runner/module.json")
sys.path.insert(0, MODULES)
sys.dont_write_bytecode = True

import inginious_container_api

inginious_container_api.DEBUG = True  # files are in the working directory

from inginious_container_api import _json_text, _shell, feedback, input, lang, rst


def read(path):
    with open(path, newline="", encoding="utf-8") as file:
        return file.read()


class Module(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(directory.name)

    def write(self, files):
        for path, text in files.items():
            if os.path.dirname(path):
                os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w", newline="", encoding="utf-8") as file:
                file.write(text)

    def files(self):
        return {
            os.path.relpath(os.path.join(folder, name)): read(os.path.join(folder, name))
            for folder, _, names in os.walk(".")
            for name in names
        }

    def python(self, code, *arguments, **options):
        """What a Python of its own prints."""
        done = subprocess.run(
            [sys.executable, "-B", "-c", code, *arguments],
            env={**os.environ, "PYTHONPATH": MODULES},
            stdout=subprocess.PIPE,
            check=True,
            **options,
        )
        return done.stdout.decode()


class Table(Module):
    def test_the_module_does_what_that_of_inginious_does(self):
        with open(TABLE, encoding="utf-8") as file:
            table = json.load(file)
        self.assertGreater(len(table["cases"]), 290)
        for case in table["cases"]:
            with self.subTest(code=case["code"], before=case.get("before")), tempfile.TemporaryDirectory() as place:
                os.chdir(place)
                self.check(case, table)

    def check(self, case, table):
        before = {
            "upload": table["upload"],
            "__inputdata.json": json.dumps({"type": "start", "input": table["input"]}),
            **case.get("files", {}),
        }
        if "before" in case:
            before["__feedback.json"] = case["before"]
        self.write(before)
        names = {"feedback": feedback, "input": input, "lang": lang, "rst": rst}
        try:
            value = repr(eval(case["code"], names))
        except Exception as error:
            value = "raises " + type(error).__name__
        after = self.files()
        self.assertEqual(value, case["value"])
        if "after" in case:
            # As texts: a NaN is not equal to itself.
            self.assertEqual(json.dumps(json.loads(after.pop("__feedback.json"))), json.dumps(case["after"]))
            before.pop("__feedback.json", None)
        self.assertEqual(after, {**before, **case.get("made", {})})


class Feedback(Module):
    def test_changes_at_the_same_time_are_not_lost(self):
        code = (
            "import sys, inginious_container_api as api; api.DEBUG = True\n"
            "from inginious_container_api import feedback\n"
            "for i in range(20): feedback.set_custom_value(f'{sys.argv[1]}-{i}', i)"
        )
        environment = {**os.environ, "PYTHONPATH": MODULES}
        writers = [
            subprocess.Popen([sys.executable, "-B", "-c", code, str(i)], env=environment) for i in range(4)
        ]
        self.assertEqual([writer.wait() for writer in writers], [0] * 4)
        self.assertEqual(len(feedback.get_feedback()["custom"]), 80)

    def test_equal_tags_have_equal_ids_which_are_those_of_the_command(self):
        feedback.tag("one")
        feedback.tag("one")
        feedback.tag("é")
        self.assertEqual(
            feedback.get_feedback()["tests"],
            {"*auto-tag-1875936269717626031": "one", "*auto-tag-775207407765167617": "é"},
        )

    def test_what_cannot_be_saved_leaves_the_old_feedback_as_it_was(self):
        feedback.set_global_result("failed")
        for value in (object(), "x" * (16 << 20)):
            with self.assertRaises((TypeError, ValueError)):
                feedback.set_custom_value("key", value)
        self.assertEqual(self.files(), {"__feedback.json": '{"result": "failed"}'})

    def test_files_that_no_container_wrote_are_not_read(self):
        code = (
            "from inginious_container_api import input\n"
            "input._input_file = '__inputdata.json'\n"
            "for name in 'abc':\n"
            "    try: print(input.get_input(name))\n"
            "    except FileNotFoundError: print('no file')"
        )
        values = {"a": "/etc/passwd", "b": "/.__input/../etc/passwd", "c": 5}
        values = {name: {"filename": "x", "value": value} for name, value in values.items()}
        self.write({"__inputdata.json": json.dumps({"input": values})})
        self.assertEqual(self.python(code), "no file\n" * 3)


class Names(Module):
    def test_both_package_names_have_the_same_modules(self):
        names = "feedback input lang rst run_student run_types ssh_student".split()
        code = "".join(
            f"from inginious import {name} as a\nimport inginious.{name}\n"
            f"import inginious_container_api.{name} as b\n"
            f"assert a is b and inginious.{name} is b\n"
            for name in names
        )
        self.assertEqual(self.python(code + "print(inginious.DEBUG)"), "False\n")

    def test_nothing_is_imported_that_is_not_needed(self):
        code = (
            "import sys; before = set(sys.modules)\n"
            "import inginious_container_api as api; api.DEBUG = True\n"
            "from inginious_container_api import feedback, input, lang, rst, run_student, ssh_student\n"
            "feedback.set_global_result('success'); feedback.set_problem_feedback('x', 'q1')\n"
            "feedback.get_feedback(); input.get_input('a')\n"
            "print(sorted(n for n in set(sys.modules) - before if not n.startswith('inginious')))"
        )
        self.write({"__inputdata.json": '{"input": {"a": 1}}'})
        self.assertEqual(self.python(code), "['_json', 'fcntl']\n")

    def test_json_is_read_and_written_without_pythons_private_module_too(self):
        texts = ('{"a": [1, 2.5, null, true, "\\u00e9\\ud83d\\ude00"]}', " [NaN, Infinity, -Infinity] \n", "123456789012345678901")
        wrong = ("", "{", "[1,]", "1 2", "'x'", '"\t"', "nan")
        private = _json_text._json
        self.assertIsNotNone(private)
        self.addCleanup(setattr, _json_text, "_json", private)
        found = []
        for module in (private, None):
            _json_text._json = module
            found.append([_json_text.dumps(_json_text.loads(text)) for text in texts])
            for text in wrong:
                self.assertRaises(ValueError, _json_text.loads, text)
            self.assertRaises(TypeError, _json_text.dumps, {1, 2})
        self.assertEqual(found[0], found[1])
        self.assertEqual(found[0], [json.dumps(json.loads(text)) for text in texts])


class RunFile(Module):
    """inginious-ipython."""

    def run_file(self, text, *arguments):
        self.write({"run.py": text, "__inputdata.json": '{"input": {"q": "answer", "@lang": "en"}}'})
        code = (
            "import inginious_container_api as api; api.DEBUG = True\n"
            "from inginious_container_api import _run_file; _run_file.main()"
        )
        return self.python(code, "run.py", *arguments, stderr=subprocess.STDOUT)

    def test_functions_are_there_without_an_import(self):
        out = self.run_file("def f():\n    set_grade(7)\nf()\nset_global_feedback(get_input('q'))\nprint(rst.x if 0 else 1)")
        self.assertEqual(out, "1\n")
        self.assertEqual(feedback.get_feedback(), {"grade": 7.0, "text": "answer"})

    def test_names_of_code_that_is_made_at_run_time_are_there_too(self):
        self.run_file("exec('set_' + 'state(\"s\")')\nset_global_result(globals()['get_codeblock']('c', 'x')[:4].strip())")
        self.assertEqual(feedback.get_feedback(), {"state": "s", "result": ".."})

    def test_a_script_is_the_main_module_of_its_folder(self):
        self.write({"helper.py": "import __main__\nvalue = __main__.x"})
        out = self.run_file("x = 5\nimport helper, sys\nprint(__name__, __file__, helper.value, sys.argv)", "more")
        self.assertEqual(out, "__main__ run.py 5 ['run.py', 'more']\n")

    def test_commands_run_in_a_shell(self):
        out = self.run_file(
            "import os\n"
            "name = 'x y'\n"
            "!echo one \"$name\" {len(name)} $$HOME '$name'\n"
            "def f(n):\n"
            "    out = !printf 'a b\\nc d\\n'; echo e >&2\n"
            "    ! exit {n}\n"
            "    return out\n"
            "out = f(3)\n"
            "print(out, out.n == 'a b\\nc d\\ne', out.s, out.grep('c'), out.fields(1), _exit_code)\n"
            "!kill -9 $$\n"
            "print(_exit_code)\n"
            "text = '''\n!not a command\n'''\n"
            "x = (5\n%3)\n"
            "!echo long \\\n  line\n"
            "%cd /\n"
            "where = %pwd\n"
            "%env A=b\n"
            "print(text.strip(), x, where, os.environ['A'])\n"
            "!echo $unknown {name}\n"
        )
        self.assertEqual(
            out.replace(os.environ.get("HOME", ""), "HOME"),
            "one x y 3 HOME $name\n"
            "['a b', 'c d', 'e'] True a b c d e ['c d'] ['b', 'd'] 3\n-9\nlong line\n/\nenv: A=b\n!not a command 2 / b\n{name}\n",
        )

    def test_an_error_is_told_with_its_line(self):
        for text in ("!true\n\n1 / 0\n", "x = 1\n\nif x\n"):
            with self.assertRaises(subprocess.CalledProcessError) as caught:
                self.run_file(text)
            self.assertIn('"run.py", line 3' if "/" in text else "run.py", caught.exception.stdout.decode())

    def test_what_only_ipython_can_do_is_told(self):
        for text in ("%timeit 1\n", "%%bash\necho hello\n"):
            self.assertIsNone(_shell.translate(text.encode()))


class Login(Module):
    def test_a_login_is_asked_of_the_program_which_gets_our_signals(self):
        program = (
            "#!/bin/sh\n"
            'printf "%s|" "$@" >asked\n'
            "kill -USR1 $PPID; head -c 3 <&3 >got\n"
            "kill -TERM $PPID; head -c 3 <&3 >>got\n"
            "exit 7\n"
        )
        self.write({"program": program})
        os.chmod("program", 0o755)
        code = (
            "from inginious_container_api import run_student, ssh_student\n"
            "run_student._PROGRAM = './program'\n"
            "print(ssh_student.ssh_student('make all', memory_limit=50, time_limit=1.5, container='gcc', run_as_root=True, teardown_script='rm x'))\n"
        )
        self.assertEqual(self.python(code, stdin=subprocess.DEVNULL), "7\n")
        asked = read("asked").split("|")[:-1]
        self.assertEqual(asked[-2:], ["--", "make all"])
        expected = {"--container=gcc", "--time=2", "--memory=50", "--ssh", "--run-as-root", "--teardown-script=rm x"}
        expected |= {f"--working-dir={os.getcwd()}", "--signals=3"}
        self.assertEqual(set(asked[:-2]), expected)
        self.assertEqual(read("got"), "010015")


if __name__ == "__main__":
    unittest.main()
