"""What the system tests share: a scripted backend, agents as subprocesses, small images, tasks, and
the check that nothing is left behind.  Only Debian's python3, python3-zmq and python3-msgpack."""
