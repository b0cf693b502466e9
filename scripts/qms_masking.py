"""Keep secrets out of what is shown, recorded and stored.

What looks like a secret becomes ``***``: the values of variables of this process
that are named like one, whatever follows a name such as ``password=``, the forms
that well-known tokens have, and private keys. It is a net, not a proof: a password
that a program prints without a word of warning looks like any other word.

Every pattern is anchored at a fixed text or has a bounded repetition, so that the
time is linear in the length of the text.
"""

import os
import re

MASK = "***"
# A variable is named like this when its value is a secret …
_SECRET_NAME = re.compile(
    r"(KEY|TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|PWD|CREDENTIALS?|_URL|_DSN|_URI)$"
)
_HARMLESS = frozenset({"PWD", "OLDPWD"})
# … and below this length, masking it would blot out ordinary words.
_SHORTEST = 8
_URL_PASSWORD = re.compile(r"://[^\s/@:]*:([^\s/]+)@")

_WORD = (
    r"(?:pass(?:word|wd|phrase)|pwd|secret|token|api[_-]?key|access[_-]?key"
    r"|secret[_-]?key|private[_-]?key|encryption[_-]?key|signing[_-]?key"
    r"|account[_-]?key|client[_-]?secret|credentials?|sessionid|session[_-]?id)"
)
_VALUE = r"""(?:"(?:[^"\\\n]|\\.)*"?|'(?:[^'\\\n]|\\.)*'?|[^\s"'&,;<>|)}\]]+)"""

_PATTERNS = (
    # scheme://user:password@host
    (re.compile(r"""(://[^\s/@:"'<>]{0,200}:)[^\s"'<>/]+@"""), rf"\1{MASK}@"),
    # https://token@host
    (re.compile(r"""(https?://)[^\s/@:"'<>]{16,}@""", re.IGNORECASE), rf"\1{MASK}@"),
    # Headers: all that follows, but for the quote around it
    (
        re.compile(
            r"""\b((?:proxy-)?authorization|(?:set-)?cookie|x-[a-z-]{0,30}(?:key|token)"""
            r"""|private-token)(["']?\s{0,4}[:=]\s{0,4}["']?)(?!\*\*\*)([^\s"'][^"'\n]*)""",
            re.IGNORECASE,
        ),
        rf"\1\2{MASK}",
    ),
    (
        re.compile(
            r"\b(bearer|basic)(\s{1,4})(?=[\w.~+/=-]{0,200}[\d.=_-])[\w.~+/=-]{12,}",
            re.IGNORECASE,
        ),
        rf"\1\2{MASK}",
    ),
    # name=value, "name": "value", --name value
    (
        re.compile(rf"(--{_WORD}[= ]){_VALUE}", re.IGNORECASE),
        rf"\1{MASK}",
    ),
    (
        re.compile(
            rf"""({_WORD}\d?["']?\s{{0,4}}(?:=>|:=|[:=])\s{{0,4}})(?!\*\*\*){_VALUE}""",
            re.IGNORECASE,
        ),
        rf"\1{MASK}",
    ),
    # SQL
    (
        re.compile(r"\b((?:password|identified\s{1,4}by)\s{1,4})'[^'\n]*'", re.I),
        rf"\1'{MASK}'",
    ),
    # Tokens that tell what they are
    (
        re.compile(
            r"\b(?:"
            r"(?:AKIA|ASIA|AROA|AIDA)[0-9A-Z]{16}"
            r"|gh[opsur]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|glpat-[\w-]{16,}"
            r"|xox[abeprs]-[\w-]{10,}|do[opr]_v1_[0-9a-f]{32,}|AIza[\w-]{30,}"
            r"|(?:sk|rk|pk)_(?:live|test)_\w{16,}|sk-[\w-]{20,}|npm_\w{30,}|pypi-[\w-]{30,}"
            r"|eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*"
            r"|https://hooks\.slack\.com/services/[\w/]+"
            r")"
        ),
        MASK,
    ),
)
# A line without any of these matches none of the patterns.
_HINTS = (
    *("://", "pass", "pwd", "secret", "token", "key", "credential", "session", "auth"),
    *("cookie", "bearer", "basic ", "identified", "akia", "asia", "aroa", "aida"),
    *("ghp_", "gho_", "ghs_", "ghu_", "ghr_", "github_pat_", "glpat-", "xox", "op_v1_"),
    *("oo_v1_", "or_v1_", "aiza", "_live_", "_test_", "sk-", "npm_", "pypi-", "eyj"),
)
_KEY_BEGIN = re.compile(r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----")
_KEY_END = re.compile(r"-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----")
# What stands in a key: base64, its headers, nothing.
_KEY_LINE = re.compile(r"""\s*(?:[A-Za-z0-9+/=\\"']*|[A-Za-z-]{1,30}: .*)\s*""")


def is_secret(name):
    """Tell whether a variable is named like a secret.

    :param str name: the name
    :rtype: bool
    """
    return name not in _HARMLESS and bool(_SECRET_NAME.search(name.upper()))


def secrets_of(environment=None):
    """Return the values of variables that are named like secrets.

    Of an address (``POSTGRES_URL``) only the password counts.

    :param dict | None environment: variables; those of this process when missing
    :return: the longest first, so that no part of one is left standing
    :rtype: list[str]
    """
    found = set()
    for name, value in (os.environ if environment is None else environment).items():
        if not is_secret(name):
            continue
        if name.upper().endswith(("_URL", "_DSN", "_URI")):
            match = _URL_PASSWORD.search(value)
            value = match[1] if match else ""
        if len(value) >= _SHORTEST:
            found.add(value)
    return sorted(found, key=len, reverse=True)


class Masker:
    """Masks a text, or a stream line by line.

    :param secrets: texts that are masked wherever they stand, the longest first
    """

    def __init__(self, secrets=()):
        self._secrets = re.compile("|".join(map(re.escape, secrets)) or r"(?!)")
        self._in_key = False

    def line(self, line):
        """Return the next line of a stream, masked.

        :param str line: with or without its line end
        :return: the line; empty for those within a private key
        :rtype: str
        """
        end = line[len(line.rstrip("\r\n")) :]
        text = line[: len(line) - len(end)]
        if self._in_key:
            closing = _KEY_END.search(text)
            if not closing:
                if _KEY_LINE.fullmatch(text):
                    return ""
                # The key was cut off; this line is something else.
                self._in_key = False
            else:
                self._in_key = False
                text = text[closing.end() :]
                if not text.strip():
                    return ""
        return self._mask(text) + end

    def _mask(self, text):
        done = []
        while begin := _KEY_BEGIN.search(text):
            done.append(self._mask_plain(text[: begin.start()]))
            done.append(f"{begin[0]} {MASK}")
            closing = _KEY_END.search(text, begin.end())
            if not closing:
                self._in_key = True
                return "".join(done)
            text = text[closing.end() :]
        done.append(self._mask_plain(text))
        return "".join(done)

    def _mask_plain(self, text):
        text = self._secrets.sub(MASK, text)
        lowered = text.lower()
        if not any(hint in lowered for hint in _HINTS):
            return text
        for pattern, replacement in _PATTERNS:
            text = pattern.sub(replacement, text)
        return text

    def text(self, text):
        """Return a whole text, masked.

        :param str text: any number of lines
        :rtype: str
        """
        outer, self._in_key = self._in_key, False
        masked = "".join(map(self.line, re.findall(r"[^\n]*\n|[^\n]+", text)))
        self._in_key = outer
        return masked
