"""Issues at GitHub, over its REST API (version 2022-11-28).

https://docs.github.com/en/rest/issues/issues says what is sent and what comes back.
Nothing here knows of Odoo.
"""

import json
import re
import time
from dataclasses import dataclass

import requests

API_URL = "https://api.github.com"
# Limits of GitHub, in characters: of a title, of a body, of one label
TITLE_LIMIT, BODY_LIMIT, LABEL_LIMIT = 256, 65_536, 50
# Seconds until the other side has to have answered
TIMEOUT = 15
_ANSWER_LIMIT = 8 * 1024 * 1024
# How many of the newest issues are looked through for one that may be there already
_LOOKED_THROUGH = 100
_REPOSITORY = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,38})/[A-Za-z0-9._-]{1,100}")
# Somebody is called by it, and a comment hides what follows.
_MENTION = re.compile(r"@(?=[A-Za-z0-9])")


class GithubError(Exception):
    """An issue could not be made; says why, and never what the token was.

    :param str message: for people
    :param bool passing: whether it makes sense to try again
    :param int wait: seconds that GitHub asks to wait before
    """

    def __init__(self, message, passing=False, wait=0):
        super().__init__(message)
        self.passing = passing
        self.wait = wait


@dataclass(frozen=True)
class Issue:
    """An issue as GitHub has it.

    :param int number: in its repository
    :param str url: for people
    :param tuple labels: names, as far as GitHub took them
    """

    number: int
    url: str
    labels: tuple = ()


def is_repository(text):
    """Tell whether a text names a repository, ``owner/name``.

    :param str text: what somebody typed
    :rtype: bool
    """
    name = text.partition("/")[2]
    return bool(_REPOSITORY.fullmatch(text)) and name not in (".", "..")


def plain(text):
    """Return a text that calls nobody and hides nothing when it is in an issue.

    :param str text: any text, such as a line of a log
    :rtype: str
    """
    return _MENTION.sub("@\u200b", (text or "").replace("<", "&lt;"))


class Client:
    """The issues of one repository.

    :param str api_url: ``https://api.github.com``, or ``https://HOST/api/v3`` of a
        GitHub Enterprise Server
    :param str token: with the right to write issues
    :param str repository: ``owner/name``
    :param float timeout: seconds
    """

    def __init__(self, api_url, token, repository, timeout=TIMEOUT):
        self._base = f"{api_url.rstrip('/')}/repos/{repository}"
        self._token = token
        self._repository = repository
        self._timeout = timeout

    def check(self):
        """Ask for the repository.

        :return: ``full_name``, ``private``, ``has_issues`` and ``can_write`` (whether
            the token may give labels); ``None`` where GitHub does not say
        :rtype: dict
        :raises GithubError: when it cannot be reached, or the token does not see it
        """
        answer = self._call("GET", "")
        rights = answer.get("permissions") or {}
        return {
            "full_name": answer.get("full_name"),
            "private": answer.get("private"),
            "has_issues": answer.get("has_issues"),
            "can_write": rights.get("push"),
        }

    def make(self, title, body, labels=()):
        """Make an issue.

        :param str title: one line
        :param str body: Markdown
        :param labels: names; GitHub makes those that it does not have, and leaves
            them all away when the token may not push
        :rtype: Issue
        :raises GithubError: ``passing`` when it may have been made nevertheless
        """
        answer = self._call(
            "POST",
            "/issues",
            {"title": title, "body": body, "labels": list(labels)},
            expected=201,
        )
        return self._read(answer)

    def find(self, marker):
        """Return the issue whose body contains a text, if it is among the newest.

        :param str marker: a text that is in one body only
        :rtype: Issue or None
        :raises GithubError: when the issues cannot be listed
        """
        listed = self._call(
            "GET",
            "/issues",
            params={
                "state": "all",
                "sort": "created",
                "direction": "desc",
                "per_page": _LOOKED_THROUGH,
            },
        )
        for answer in listed if isinstance(listed, list) else ():
            if isinstance(answer, dict) and marker in (answer.get("body") or ""):
                return self._read(answer)
        return None

    def _read(self, answer):
        number = answer.get("number") if isinstance(answer, dict) else None
        url = answer.get("html_url") if isinstance(answer, dict) else None
        if type(number) is not int or not isinstance(url, str):
            raise GithubError("The answer names no issue.", passing=True)
        if not re.match(r"https?://[^\s<>\"]+$", url):
            raise GithubError("The answer has no address of the issue.", passing=True)
        labels = answer.get("labels") or ()
        names = (
            label.get("name") if isinstance(label, dict) else label for label in labels
        )
        return Issue(number, url, tuple(name for name in names if name))

    def _call(self, method, path, payload=None, params=None, expected=200):
        deadline = time.monotonic() + 2 * self._timeout
        content = b""
        try:
            with requests.request(
                method,
                f"{self._base}{path}",
                json=payload,
                params=params,
                headers={
                    "Accept": "application/vnd.github+json",
                    "Authorization": f"Bearer {self._token}",
                    "User-Agent": "qms-sop",
                    "X-GitHub-Api-Version": "2022-11-28",
                },
                timeout=self._timeout,
                # The token goes nowhere else.
                allow_redirects=False,
                stream=True,
            ) as answer:
                status, headers = answer.status_code, answer.headers
                for piece in answer.iter_content(65_536):
                    content += piece
                    if len(content) > _ANSWER_LIMIT or time.monotonic() > deadline:
                        raise GithubError(
                            "The answer is too large, or too slow.", passing=True
                        )
        except (requests.RequestException, OSError) as error:
            raise GithubError(_describe(error, self._timeout), passing=True) from None
        if status != expected:
            raise self._refused(status, headers, content)
        try:
            return json.loads(content)
        except ValueError:
            raise GithubError("The answer is not JSON.", passing=True) from None

    def _refused(self, status, headers, content):
        """Return the error that an answer stands for."""
        said = _message(content).replace(self._token, "…")
        if status in (403, 429) and (wait := _wait(status, headers, said)):
            return GithubError(
                f"GitHub asks to wait {wait} seconds: {said}", passing=True, wait=wait
            )
        if status >= 500:
            return GithubError(f"GitHub failed with {status}: {said}", passing=True)
        hint = {
            301: "The repository was renamed or moved. ",
            307: "The repository was renamed or moved. ",
            401: "The token is wrong, or it has expired. ",
            403: "The token may not do that. ",
            404: f"There is no repository {self._repository}, or the token does not "
            "see it. ",
            410: f"Issues are switched off in {self._repository}. ",
            422: "GitHub does not accept what was sent. ",
        }.get(status, "")
        return GithubError(f"{hint}GitHub answered {status}: {said}")


def _message(content):
    """Return what GitHub says is wrong, in one short line."""
    try:
        answer = json.loads(content)
    except ValueError:
        return "no reason given"
    if not isinstance(answer, dict):
        return "no reason given"
    parts = [str(answer.get("message") or "no reason given")]
    for error in answer.get("errors") or ():
        if isinstance(error, dict):
            about = " ".join(
                str(error[name])
                for name in ("field", "code", "message")
                if name in error
            )
            parts.append(about)
    return "; ".join(parts)[:500]


def _wait(status, headers, said):
    """Return how many seconds a limit of the rate wants; 0 when it is no limit.

    https://docs.github.com/en/rest/using-the-rest-api/best-practices-for-using-the-rest-api
    """
    after = headers.get("Retry-After", "")
    if after.isdecimal():
        return max(1, min(int(after), 86_400))
    reset = headers.get("X-RateLimit-Reset", "")
    if headers.get("X-RateLimit-Remaining") == "0" and reset.isdecimal():
        return max(1, min(int(reset) - int(time.time()), 86_400))
    limited = status == 429 or "rate limit" in said.lower()
    return 60 if limited else 0


def _describe(error, timeout):
    """Say in a few words why there was no answer."""
    if isinstance(error, requests.exceptions.SSLError):
        return "Its TLS certificate is refused."
    if isinstance(error, requests.Timeout):
        return f"No answer within {timeout:g} seconds."
    if isinstance(error, requests.ConnectionError):
        return "It cannot be reached."
    return f"The request failed ({type(error).__name__})."
