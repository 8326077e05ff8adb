"""What an agent may say to the backend, checked as strictly as the backend does it: one frame that it
cannot read ends it for everybody. The tables are those of generation main."""

import msgpack

from . import generations

NoneType = type(None)

# For each message the exact set of keys, its type aside, and the types a value may have.
AGENT_MESSAGES = {
    "AgentHello": {
        "friendly_name": (str,),
        "available_job_slots": (int,),
        "available_environments": (dict,),
    },
    "AgentJobStarted": {"job_id": (str,)},
    "AgentJobDone": {
        "job_id": (str,),
        "result": (tuple,),
        "grade": (float,),
        "problems": (dict,),
        "tests": (dict,),
        "custom": (dict,),
        "state": (str,),
        "archive": (bytes, NoneType),
        "stdout": (str, NoneType),
        "stderr": (str, NoneType),
    },
    "AgentJobSSHDebug": {
        "job_id": (str,),
        "host": (str, NoneType),
        "port": (int,),
        "user": (str,),
        "password": (str,),
    },
    "Pong": {},
}

ENVIRONMENT = {
    "id": (str,),
    "title": (str,),
    "created": (int,),
    "ports": (tuple,),
    "runtime": (str,),
    "advertised": (bool,),
}


def pack(message):
    return msgpack.packb(message, use_bin_type=True)


def unpack(frame):
    return msgpack.unpackb(frame, use_list=False, strict_map_key=False)


def _check_fields(what, fields, expected):
    if set(fields) != set(expected):
        raise AssertionError(f"{what}: keys {sorted(fields)}, expected {sorted(expected)}")
    for key, types in expected.items():
        # bool is an int for isinstance, but not on the wire.
        if type(fields[key]) not in types:
            raise AssertionError(f"{what}: {key} is {fields[key]!r}")


def _check_done(message, frame):
    result = message["result"]
    if len(result) != 2 or not all(type(x) is str for x in result):
        raise AssertionError(f"AgentJobDone: result is {result!r}")
    if b"\xa5grade\xcb" not in frame:
        raise AssertionError("AgentJobDone: grade is not a 64-bit float")


def _check_hello(message, generation):
    expected = generations.environment_fields(generation, ENVIRONMENT)
    types = message.get("available_environments")
    if types is None:
        types = {"docker": message["available_containers"]}
    for kind, environments in types.items():
        if type(kind) is not str or type(environments) is not dict:
            raise AssertionError(f"AgentHello: environments of {kind!r}: {environments!r}")
        for name, environment in environments.items():
            _check_fields(f"AgentHello: environment {name!r}", environment, expected)


def check(frame, generation=generations.MAIN):
    """The decoded message, as main would have it; AssertionError for a frame that the backend would not survive."""
    try:
        message = unpack(frame)
    except Exception as error:
        raise AssertionError(f"undecodable frame from the agent: {frame[:200]!r}: {error}") from error
    kind = generations.kind_of(generation, message) if type(message) is dict else None
    if kind not in AGENT_MESSAGES:
        raise AssertionError(f"unknown message from the agent: {message!r}")
    type_key = generations.type_key(generation)
    fields = {key: value for key, value in message.items() if key != type_key}
    _check_fields(kind, fields, generations.message_fields(generation, kind, AGENT_MESSAGES[kind]))
    if kind == "AgentJobDone":
        _check_done(message, frame)
    elif kind == "AgentHello":
        _check_hello(message, generation)
    return generations.from_agent(generation, kind, message)
