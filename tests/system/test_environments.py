# ctest: no-asan fixture=system.environments_store
"""The images python3 and gcc, built from their recipes: what run scripts in Python do, and tasks in C."""

import json
import os
import subprocess
import unittest

from harness import case, stores, trees

PYTHON = "#!/usr/bin/python3\nfrom inginious_container_api import feedback, input, lang, rst, run_student\n"
# Made by ctest's fixture from what scripts/build-image built.
STORE = os.environ.get("DOCKLESS_ENVIRONMENTS_STORE", "")


class Environments(case.SystemTest):
    def setUp(self):
        super().setUp()
        if not os.path.isdir(STORE):
            raise unittest.SkipTest(f"there is no store {STORE}: ctest makes it")
        self.start_agent(store=STORE)

    def runs(self, environment="python3", inputs=None, **files):
        """AgentJobDone of a job whose task has FILES."""
        task = self.courses.add("course/task", **files)
        inputs = {"@lang": "fr", "@username": "me", "@state": "", **(inputs or {})}
        return self.grade(task, environment=environment, inputdata=inputs, limits={"time": 20})

    def test_a_run_script_in_python_uses_the_module(self):
        done = self.runs(
            run=PYTHON
            + "feedback.set_global_result('failed')\n"
            "feedback.set_grade(33.335)\n"
            "feedback.set_global_feedback(rst.get_codeblock('c', input.get_input('q')))\n"
            "feedback.set_problem_result('success', 'q')\n"
            "feedback.set_problem_feedback(input.get_username(), 'q')\n"
            "feedback.set_custom_value('n', {'list': [1, 2.5, None]})\n"
            "feedback.set_tag('t', True)\n"
            "feedback.set_state('next')\n"
            "feedback.set_custom_value('file', input.get_input('up').decode())\n",
            inputs={"q": "int x;", "up": {"filename": "name", "value": b"bytes"}},
        )
        self.assertEqual(done["result"], ("failed", "\n\n.. code-block:: c\n\n\tint x;\n\n"))
        self.assertEqual(done["grade"], 33.34)
        self.assertEqual(done["problems"], {"q": ("success", "me")})
        self.assertEqual(done["custom"], {"n": {"list": (1, 2.5, None)}, "file": "bytes"})
        self.assertEqual((done["tests"], done["state"]), ({"t": True}, "next"))

    def test_the_old_name_of_the_package_works(self):
        done = self.runs(
            run="#!/usr/bin/python3\n"
            "import inginious.input\nfrom inginious import feedback\n"
            "feedback.set_global_result('success' if inginious.input.get_lang() == 'fr' else 'failed')\n"
        )
        self.assertEqual(done["result"], ("success", ""))

    def test_run_py_needs_no_imports_and_may_have_commands(self):
        done = self.runs(
            run_py="set_global_result('success')\n"
            "answer = get_input('q')\n"
            "lines = !echo $answer | tr a-z A-Z; getinput @username\n"
            "set_global_feedback(lines.n)\n"
            "!feedback-grade {len(lines) * 10}\n",
            inputs={"q": "what"},
        )
        self.assertEqual((done["result"], done["grade"]), (("success", "WHAT\nme"), 20.0))

    def test_a_template_is_filled_and_translated(self):
        done = self.runs(
            run=PYTHON + "feedback.set_global_result('failed')\n"
            "feedback.set_feedback_from_tpl('t', {'names': ['a', 'b']})\n",
            t_tpl="{% for n in names %}{{ loop.index }}: {{ n }} {% endfor %}{{ _('text') }}",
        )
        self.assertEqual(done["result"], ("failed", "1: a 2: b text"))

    def test_a_template_beyond_the_commands_own_goes_to_jinja2(self):
        done = self.runs(
            run="#!/bin/bash\n"
            "mkdir -p lang/fr\n"
            "echo '{% for c in name %}{{ loop.index }}{{ c }}{% endfor %}' >lang/fr/t.tpl\n"
            "echo ' {{ name }} {{ _(name) }}' >u.tpl\n"
            "feedback-result failed\n"
            "feedback-msg-tpl t name=ab\n"
            "feedback-msg-tpl -a u name=c\n"
            "feedback-msg-tpl -i q t name=xy\n",
        )
        self.assertEqual(done["result"], ("failed", "1a2b c c"))
        self.assertEqual(done["problems"], {"q": "1x2y"})

    def test_python_runs_commands_in_student_containers(self):
        done = self.runs(
            run=PYTHON + "import os\n"
            "os.makedirs('student/sub')\n"
            "run = run_student.run_student_simple\n"
            "found = [\n"
            "    run('cat', cmd_input='é' * 100000) == ('é' * 100000, '', 0),\n"
            "    run('sh -c \"cat; echo err >&2; exit 7\"', b'in', stdout_err_fuse=True, text=False),\n"
            "    run('pwd', working_dir='/task/student/sub'),\n"
            "    run('no-such-command')[2],\n"
            "    run_student.run_student('true', memory_limit=1),\n"
            "    run_student.run_student('sleep 60', hard_time_limit=1),\n"
            "    run_student.run_student('true', container='absent'),\n"
            "]\n"
            "feedback.set_global_result('success')\n"
            "feedback.set_global_feedback(repr(found))\n"
        )
        expected = [True, (b"inerr\n", 7), ("/task/student/sub\n", "", 0), 1, 254, 253, 254]
        self.assertEqual(done["result"], ("success", repr(expected)))

    def test_python_sends_signals_to_a_student_container(self):
        done = self.runs(
            run=PYTHON + "import os, threading, time\n"
            "sends = []\n"
            "reader, writer = os.pipe()\n"
            "def wait_and_send():\n"
            "    os.read(reader, 6)\n"
            "    sends[0](10)\n"
            "    os.read(reader, 4)\n"
            "    sends[0](9)\n"
            "threading.Thread(target=wait_and_send).start()\n"
            "command = 'trap \"echo usr1\" USR1; echo ready; while :; do sleep 0.1; done'\n"
            "status = run_student.run_student(\n"
            "    f\"sh -c '{command}'\", stdout=writer, signal_handler_callback=sends.append)\n"
            "feedback.set_global_result('success')\n"
            "feedback.set_custom_value('status', status)\n"
        )
        self.assertEqual(done["custom"], {"status": 247})

    def test_a_task_in_c_is_compiled_and_run(self):
        done = self.runs(
            environment="gcc",
            inputs={"code": 'printf("%d %s\\n", 6 * 7, argv[1]);'},
            run="#!/bin/bash\n"
            "parsetemplate -o student/main.c main.c\n"
            "gcc -Wall -Werror -O1 -o student/main student/main.c || exit\n"
            "feedback-result success\n"
            "run_student ./student/main hello | feedback-msg\n",
            main_c="#include <stdio.h>\nint main(int argc, char **argv)\n{\n    (void)argc;\n@    @code@@\n    return 0;\n}\n",
        )
        self.assertEqual(done["result"], ("success", "42 hello\n"))

    def test_compilers_and_sanitizers_of_gcc_work(self):
        done = self.runs(
            environment="gcc",
            run="#!/bin/bash\n"
            "cd student\n"
            "echo '#include <iostream>\nint main() { std::cout << \"c++\"; }' >a.cpp\n"
            "echo 'int main(int n, char **v) { int a[2] = {0}; return a[n + 1]; }' >b.c\n"
            "printf 'all: a\\n\\tc++ --version >/dev/null\\n' >Makefile\n"
            "make -s && feedback-msg -m \"$(./a)\"\n"
            "cc -fsanitize=undefined -fno-sanitize-recover -o b b.c && ./b || feedback-result failed\n",
        )
        self.assertEqual(done["result"], ("failed", "c++"))


class RoundTrips(stores.StoreTest):
    def test_a_debian_root_with_python_makes_a_round_trip(self):
        """What other tools see of an image that is exported is what containers see of it."""
        if not os.path.isdir(STORE):
            raise unittest.SkipTest(f"there is no store {STORE}: ctest makes it")
        shown = case.run("image", "inspect", "--store", STORE, "--format", "json", "python3")
        ours = trees.of_image(STORE, json.loads(shown.stdout))
        self.assertIn("usr/bin/python3", ours)
        out = self.directory + "/out"
        done = case.run("image", "export", "--store", STORE, "--compression", "none", "python3", f"oci:{out}:v1")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        bundle = self.directory + "/bundle"
        subprocess.run(["umoci", "unpack", "--image", out + ":v1", bundle], check=True, capture_output=True)
        self.assertEqual(trees.difference(ours, trees.tree(bundle + "/rootfs"), [("", "mtime")]), [])


if __name__ == "__main__":
    case.main()
