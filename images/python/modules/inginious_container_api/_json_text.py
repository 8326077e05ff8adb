"""The functions loads() and dumps() of the module json, without importing it where that can be
avoided: with what it imports itself it takes as long as the start of Python."""

try:
    import _json

    class _Context:
        """What the scanner asks for, as a JSONDecoder has it."""

        strict = True
        object_hook = object_pairs_hook = None
        parse_float, parse_int = float, int
        parse_constant = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}.__getitem__
        memo = {}

    def _refuse(value):
        raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")

    _scan = _json.make_scanner(_Context)
    _encode_text = _json.encode_basestring_ascii
    # Those of the second are positional: circle check, default, text, indent, separators, sort_keys,
    # skipkeys, allow_nan.
    _encode = _json.make_encoder({}, _refuse, _encode_text, None, ": ", ", ", False, False, True)
    if "".join(_encode([1], 0)) != "[1]" or _scan("[1]", 0) != ([1], 3):
        raise ImportError("another version of _json")
except Exception:  # it is private to Python's own library, and may change  # pylint: disable=broad-except
    _json = None

_SPACE = " \t\n\r"


def loads(text):
    """The value that TEXT stands for; ValueError where it stands for none."""
    if _json is None:
        import json

        return json.loads(text)
    text = text.strip(_SPACE)
    try:
        value, end = _scan(text, 0)
    except StopIteration as wrong:
        raise ValueError(f"no JSON value at {wrong.value}") from None
    if end != len(text):
        raise ValueError(f"more than one JSON value, at {end}")
    return value


def dumps(value):
    """VALUE as JSON; TypeError where it cannot be."""
    if _json is None:
        import json

        return json.dumps(value)
    if isinstance(value, str):
        return _encode_text(value)
    return "".join(_encode(value, 0))
