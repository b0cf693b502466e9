"""What the outage of the demo is to users: an incident, and what is learned from it."""

import json
import urllib.error
import urllib.request
from pathlib import Path

# What is left for people: the run of the alert, who sees to the action, the signature
LEFT = ("runs", "actions.owner", "postmortem")
_STATUS_PAGE = "/qms/status"


class Incident:
    """The incident, worked by the scripts alongside the SOP.

    :param script: runs one of the project's scripts, and returns its exit code and
        stdout; takes its name, its arguments and ``quiet``
    :param Story story: where it is told
    """

    def __init__(self, script, story):
        self._script = script
        self.story = story
        self.name = None
        self.postmortem = None

    def _update(self, *arguments, **options):
        return self._script(
            "update_incident.py", "--incident", self.name, *arguments, **options
        )[1].strip()

    def open(self, run):
        """Open it for a run.

        :param dict run: as Odoo gives it
        """
        self.story.chapter("What users suffer from is an incident")
        self.name = self._script(
            "create_incident.py",
            *("--run-id", str(run["id"]), "--print", "name"),
            *("--title", "Orders fail or hang"),
        )[1].strip()

    def triage(self, best):
        """Say how severe it is, what it affects, and what may be told outside.

        :param dict best: how the catalogue classified the log
        """
        self.story.chapter(f"{self.name} is triaged, and users are told")
        self._update(
            *("--error-code", best["code"], "--severity", best["severity"]),
            *("--category", best["category"], "--system", "Order service"),
            *("--detection-method", "health_check", "--state", "triaged"),
            *("--update-kind", "detected", "--update", f"It is {best['code']}"),
            *("--public-text", "Some orders fail at the moment. We are working on it."),
        )

    def link(self, run):
        """Say that a run belongs to it as well.

        :param dict run: its ``name``
        """
        self._update("--link-run", run["name"])

    def mitigate(self):
        """Note that users no longer suffer from it."""
        self.story.chapter(f"{self.name}: orders can be placed again")
        self._update(
            *(
                "--entry",
                "Fixed variant in place",
                "--entry-component",
                "Order service",
            ),
            *("--entry-evidence", "GET /health answers 200", "--state", "mitigated"),
        )

    def resolve(self):
        """Note that it is over, and tell users."""
        self._update(
            *("--state", "resolved", "--update-kind", "resolved"),
            *("--update", "The connections are given back, the alert is over"),
            *("--public-text", "Orders can be placed again."),
        )

    def review(self, failed, folder, expect):
        """Assess it, write its post-mortem, and see what closing it still needs.

        :param str failed: what became of the orders meanwhile
        :param pathlib.Path folder: where the post-mortem is written
        :param expect: stops the demo with a sentence when something is not as it should
            be
        """
        self.story.chapter(f"{self.name} is reviewed")
        self._update(
            *("--users-affected", "0", "--groups-affected", "Made-up customers only"),
            *("--operations-affected", f"Placing orders ({failed})"),
            *("--no-workaround", "--data-integrity", "intact"),
            *("--data-checks", "No order without its customer"),
            *("--compliance", "maintained", "--state", "reviewed"),
            *("--prevention", "A regression test, and an alert before it is exhausted"),
            *("--documentation", "The catalogue entry", "--team-told", "This demo"),
        )
        _, out = self._script(
            "create_postmortem.py",
            *("--incident-id", self.name),
            "--title",
            "Deployment health check timeout due to DB connection leak",
            *("--root-cause", "Missing connection cleanup in exception handlers"),
            *("--fix", "Added finally blocks to ensure connection cleanup"),
            "--preventive-measures",
            "Added connection pool monitoring, automated alerts",
            *("--output-dir", str(folder), "--json"),
            quiet=True,
        )
        self.postmortem = json.loads(out)
        text = Path(self.postmortem["path"]).read_text()
        self.story.answer(f"{Path(self.postmortem['path']).name}:")
        self.story.answer(
            "\n".join(line for line in text.splitlines() if line.startswith("#"))
        )
        missing = self._update("--missing").splitlines()
        codes = tuple(line.partition(":")[0] for line in missing)
        expect(
            codes == LEFT,
            f"Closing {self.name} should need {' and '.join(LEFT)}, it needs "
            f"{', '.join(codes) or 'nothing'}.",
        )
        self.story.say(
            f"That is for people: {self.postmortem['name']} is published by a "
            "signature, which no API key can give."
        )

    def told(self, orm, odoo_url):
        """Return what the summary of the demo says of it.

        :param orm: calls a model method
        :param str odoo_url: address of the server
        :return: ``incident`` and ``postmortem``, with ``name``, ``state`` and ``url``;
            ``status_page``, where it is public
        :rtype: dict
        """
        incident = orm("qms.incident", "find_incident", self.name)
        names = ("id", "name", "state", "url", "durations_minutes")
        summary = {
            "incident": {name: incident[name] for name in names},
            "postmortem": {name: self.postmortem[name] for name in names[:4]},
        }
        try:
            with urllib.request.urlopen(f"{odoo_url}{_STATUS_PAGE}", timeout=30):
                summary["status_page"] = _STATUS_PAGE
        except urllib.error.HTTPError as error:
            # Nobody has switched it on.
            error.close()
        return summary

    def abandon(self, orm):
        """Say of one that nobody goes on with that it is none."""
        incident = orm("qms.incident", "find_incident", self.name)
        if incident["state"] in ("detected", "triaged", "mitigated"):
            why = "The demo ended before it was resolved."
            orm("qms.incident", "move", [incident["id"]], "false_positive", why)
            self.story.say(f"{self.name} is none: the demo did not finish.")
