# SPDX-License-Identifier: GPL-2.0-or-later
"""The kernel's command line, by the kernel's own rules, and which words are for kernel modules."""

from __future__ import annotations

#: isspace() in the kernel, lib/ctype.c.
_BLANK = " \t\n\v\f\r"


def words(line: str) -> list[str]:
    """Split a command line as next_arg() in lib/cmdline.c does; quotes stay in the words.

    Blanks in double quotes belong to a word, and a quote that does not end does so with the line.
    What is behind ``--`` is init's.
    """
    found = []
    line = line.removesuffix("\n").lstrip(_BLANK)
    while line:
        end, quoted = 0, False
        while end < len(line) and (quoted or line[end] not in _BLANK):
            quoted ^= line[end] == '"'
            end += 1
        word = line[:end] + '"' * quoted
        if word in ("--", '"--"'):
            break
        found.append(word)
        line = line[end:].lstrip(_BLANK)
    return found


def parameters(line: str) -> dict[str, str]:
    """Return the parameters for each module (MODULE.PARAMETER=VALUE), as load_module() takes them.

    The keys are modules as /proc/modules names them. Of one parameter, the last value counts.
    """
    found: dict[str, str] = {}
    for word in words(line):
        # Quotes around the whole word go to what the module is given.
        quote = '"' if word[0] == '"' else ""
        module, dot, rest = word[len(quote) :].partition(".")
        if module and dot and rest and "=" not in module:
            name = module.replace("-", "_")
            found[name] = f"{found.get(name, '')} {quote}{rest}".lstrip(" ")
    return found
