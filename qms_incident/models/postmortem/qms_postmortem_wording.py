from markupsafe import Markup

from odoo import api, fields, models

from odoo.addons.qms_error_code.tools.arguments import checked

from ...tools import wording
from ...tools.postmortem_sections import SECTIONS, TEXTS


class QmsPostmortem(models.Model):
    """Hints at wordings that blame somebody, where a cause should be named.

    They hinder nothing: whether a hint is right is for people to say.
    """

    _inherit = "qms.postmortem"

    wording_html = fields.Html("Wording", compute="_compute_wording", sanitize=False)
    wording_count = fields.Integer(compute="_compute_wording")

    @api.depends("kind", "title", "state", "participant_ids.user_id", *TEXTS)
    def _compute_wording(self):
        for postmortem in self:
            # Nobody changes what is published.
            open_ = postmortem.state != "published"
            found = postmortem._wording_hints() if open_ else []
            postmortem.wording_count = len(found)
            items = Markup("").join(
                Markup(
                    "<li><b>%s</b>: “%s” – %s <span class='text-muted'>%s</span></li>"
                )
                % (one["heading"], one["sentence"], one["why"], one["better"])
                for one in found
            )
            postmortem.wording_html = Markup("<ul class='mb-0'>%s</ul>") % items

    @api.readonly
    @checked
    def wording_hints(self) -> list[dict]:
        """Return where one post-mortem could be worded without blame.

        :return: dicts with ``section`` (such as ``root_cause``), ``heading``,
            ``phrase``, ``sentence`` (that it stands in), ``why`` it is a hint, and
            ``better``: what to say instead; empty when there is nothing
        """
        return self._only_one()._wording_hints()

    def _wording_hints(self):
        """See :meth:`wording_hints`."""
        headings = {"title": self.env._("Title"), **dict(SECTIONS[self.kind])}
        advice = self._wording_advice()
        people = self.participant_ids.user_id | self.author_id
        # sudo: their names stand in the post-mortem anyway
        names = people.sudo().mapped("name")
        found = []
        for section, heading in headings.items():
            if section != "title" and section not in TEXTS:
                continue
            for hint in wording.hints(self[section], names):
                if section == "lucky" and hint.kind == "hindsight":
                    # "It could have been worse" is what the section is about.
                    continue
                why, better = advice[hint.kind]
                found.append(
                    {
                        "section": section,
                        "heading": heading,
                        "phrase": hint.phrase,
                        "sentence": hint.sentence,
                        "why": why,
                        "better": better,
                    }
                )
        return found

    @api.model
    def _wording_advice(self):
        """Return why each kind of phrase is a hint, and what to say instead.

        :return: ``{kind: (why, better)}``, of ``tools.wording.KINDS``
        :rtype: dict[str, tuple[str, str]]
        """
        return {
            "hindsight": (
                self.env._("it judges by what is known only now."),
                self.env._(
                    "Say what could be seen then, and what would have made it visible: "
                    "“Nothing showed that …”."
                ),
            ),
            "human_error": (
                self.env._("people err everywhere; it is where the question begins."),
                self.env._(
                    "Say what let the error through: “One command reached production "
                    "without a second look”."
                ),
            ),
            "forgetting": (
                self.env._("memory is no safeguard."),
                self.env._(
                    "Say what did not remind or check: “No step of the checklist asks "
                    "for …”."
                ),
            ),
            "fault": (
                self.env._("it looks for somebody, not for something."),
                self.env._(
                    "Say what made it possible: “The change passed, because …”."
                ),
            ),
            "judging": (
                self.env._("it judges people."),
                self.env._(
                    "Say under which conditions the work was done: what was known, how "
                    "much time there was, what else went on."
                ),
            ),
            "obvious": (
                self.env._("at the time it was not obvious."),
                self.env._(
                    "Leave it out, or say where the knowledge was written down and who "
                    "could find it."
                ),
            ),
            "person": (
                self.env._("it tells who, and not why."),
                self.env._(
                    "Name the role and what it had at hand: “The engineer on call saw "
                    "no alert for …”."
                ),
            ),
        }
