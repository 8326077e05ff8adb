"""Pieces of reStructuredText for feedback."""

_CLASSES = ("info", "danger", "warning", "success")


def _indented(text, indent="\t"):
    return "".join(f"{indent}{line}\n" for line in text.splitlines())


def get_codeblock(language, text):
    """TEXT as a block of code in LANGUAGE."""
    return f"\n\n.. code-block:: {language}\n\n{_indented(text)}\n"


def get_imageblock(filename, format=""):  # pylint: disable=redefined-builtin
    """An image, embedded. FORMAT, e.g. png, is the file name's extension unless given."""
    import binascii
    import os

    with open(filename, "rb") as file:
        data = binascii.b2a_base64(file.read(), newline=False).decode()
    kind = format or os.path.splitext(filename)[1][1:]
    return f'\n\n.. raw:: html\n\n\t<img src="data:image/{kind};base64,{data}">\n'


def get_admonition(cssclass, title, text):
    """TEXT in a coloured box: info, success, warning or danger; TITLE may be empty."""
    if cssclass not in _CLASSES:
        cssclass = "info"
    head = f".. admonition:: {title}\n" if title else ".. note:: \n"
    return f"\n\n{head}\t:class: alert alert-{cssclass}\n\n{_indented(text)}\n"


def indent_block(amount, text, indent_char="\t"):
    """TEXT with AMOUNT of INDENT_CHAR before each line; where AMOUNT is negative, with so many places of
    it taken away."""
    if amount > 0:
        return _indented(text, indent_char * amount)
    if len(indent_char) != 1:
        return _indented(text, "")
    return "".join(f"{line[:-amount or 0].replace(indent_char, '')}{line[-amount or 0:]}\n" for line in text.splitlines())
