"""Conditions on labels, with the meaning they have in Prometheus and Alertmanager.

https://prometheus.io/docs/alerting/latest/configuration/#matcher: a label that is not
there counts as empty, a regular expression has to match all of the value, case counts.
This module knows nothing of the ORM.
"""

import functools

import re2

from odoo.addons.qms_error_code.tools.log_matcher import MAX_PROGRAM_SIZE, PatternError


@functools.lru_cache(maxsize=512)
def compile_label_pattern(pattern):
    """Compile a pattern for the values of a label.

    :param str pattern: RE2 syntax
    :return: an object with ``fullmatch(str)``
    :raise PatternError: when it is no RE2 syntax or too large
    """
    options = re2.Options()
    options.never_capture = True
    options.log_errors = False
    try:
        # A linear search without groups; "a)(b" is refused on its own.
        compiled = re2.compile(pattern, options)
    except re2.error as error:
        message = error.args[0]
        if isinstance(message, bytes):
            message = message.decode(errors="replace")
        reason = "too_large" if message.startswith("pattern too large") else "syntax"
        raise PatternError(reason, message) from None
    except UnicodeEncodeError as error:
        raise PatternError("syntax", str(error)) from None
    if compiled.programsize > MAX_PROGRAM_SIZE:
        raise PatternError("too_large", str(compiled.programsize))
    return compiled


def holds(operator, expected, actual):
    """Tell whether a condition holds for the value of a label.

    :param str operator: ``=``, ``!=``, ``=~`` or ``!~``
    :param str expected: the value or pattern of the condition
    :param str actual: the label's value, ``""`` when it is not there
    :rtype: bool
    """
    if operator == "=":
        return actual == expected
    if operator == "!=":
        return actual != expected
    matches = compile_label_pattern(expected).fullmatch(actual) is not None
    return matches == (operator == "=~")
