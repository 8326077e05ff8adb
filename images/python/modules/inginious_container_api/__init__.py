"""What run files in Python use to read a submission and to say what they think of it.

    from inginious_container_api import feedback, input, lang, rst, run_student, ssh_student

The modules and functions are those of INGInious' own grading images; scripts written for these work
unchanged. See dockless-runner(7). Modules that take long to import are imported when they are
needed: a script should not have to wait for what it does not use."""

# Set before any of the modules is imported: files are in the working directory instead of where a
# grading container has them, so that a script can be tried anywhere.
DEBUG = False
