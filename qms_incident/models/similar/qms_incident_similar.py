import math

from odoo import api, fields, models
from odoo.exceptions import ValidationError
from odoo.tools import SQL

from odoo.addons.qms_error_code.tools.arguments import checked
from odoo.addons.qms_sop.tools.faults import at_field
from odoo.addons.qms_sop.tools.values import to_rfc3339, without_none

from ...tools.words import first_line, telling_words
from ..incident.qms_incident import HURTING_STATES

# Context of the dialog that shows them
_WANTED = "qms_show_similar"
SHOWN = 5
MOST = 20
# What each likeness adds to a score of at most 1
_TEXT = 0.6
_CODE = 0.35
_CAUSE = 0.5
_LIKELY_CAUSE = 0.25
# Below it, texts have no more in common than any two.
_LEAST_TRIGRAM = 0.25
_LEAST_WORDS = 0.5
# Of each kind; the best of them are shown.
_CANDIDATES = 30
# Without an index for it, so many of the latest are looked through.
_LOOKED_THROUGH = 10_000
# Of an incident i, where words are looked for
_WORDS = SQL("lower(i.title || ' ' || COALESCE(i.description, ''))")


class QmsIncident(models.Model):
    """Incidents like another one, and what mended those.

    Alike are incidents of the same company with a title like the text, with the same
    error code, or with the same root cause. Titles are compared by their trigrams, or
    word by word where PostgreSQL has no ``pg_trgm``.
    """

    _inherit = "qms.incident"

    similar_hint = fields.Html(
        "Similar incidents", compute="_compute_similar_hint", sanitize=False
    )
    similar_html = fields.Html(
        "Incidents like this one", compute="_compute_similar_html", sanitize=False
    )

    # Finds the nearest titles in their order, however many share a word.
    _title_gist_idx = models.Index(
        lambda registry: (
            "USING gist (title gist_trgm_ops(siglen=128))"
            if registry.has_trigram
            else ""
        )
    )

    @api.depends("title", "description", "error_code_id", "company_id")
    def _compute_similar_hint(self):
        for incident in self:
            # Shown while it is opened; later there is a button.
            found = [] if incident._origin else incident._similar_to_it()
            incident.similar_hint = incident._similar_as_html(found) if found else False

    @api.depends("title", "description", "error_code_id", "company_id", "run_ids")
    @api.depends_context(_WANTED)
    def _compute_similar_html(self):
        # Whoever reads all fields of many incidents need not wait for this one.
        wanted = self.env.context.get(_WANTED)
        for incident in self:
            incident.similar_html = wanted and incident._similar_as_html(
                incident._similar_to_it()
            )

    def _similar_as_html(self, found):
        return self.env["ir.qweb"]._render(
            "qms_incident.similar_incidents",
            {"incidents": found, "opening": not self._origin},
        )

    def action_view_similar(self):
        """Show the incidents that are like this one."""
        self.ensure_one()
        view = self.env.ref("qms_incident.qms_incident_view_form_similar")
        return {
            **self._open_form(),
            "name": self.env._("Similar incidents"),
            "views": [(view.id, "form")],
            "target": "new",
            "context": {_WANTED: True},
        }

    # === RPC ===

    @api.model
    @api.readonly
    @checked
    def find_similar(
        self,
        text: str | None = None,
        error_code: str | None = None,
        limit: int = SHOWN,
    ) -> list[dict]:
        """Return incidents of the company like what is described, the most alike first.

        :param text: what happens, a title most of all; its first line is compared with
            titles, and an error code is recognised in all of it unless one is given
        :param error_code: a code of the catalogue
        :param limit: how many at most, 1 to 20
        :return: dicts with ``id``, ``name``, ``title``, ``state``, ``open``,
            ``severity``, ``error_code``, ``detected_at``, ``resolved_at``, ``score``
            (0 to 1), ``reasons`` (``text``, ``error_code``, ``cause``,
            ``likely_cause``), ``why`` (the same in words), ``root_cause``, ``fix``,
            ``fix_from`` (``analysis``, ``postmortem``, ``run`` or ``workaround``),
            ``url`` and ``api_url``
        :raises ValidationError: when neither text nor code is given, or for an unknown
            code
        """
        return without_none(self._find_similar(text, error_code, limit))

    @api.readonly
    @checked
    def get_similar(self, limit: int = SHOWN) -> list[dict]:
        """Return the incidents like one incident, as :meth:`find_similar` does.

        :param limit: how many at most, 1 to 20
        """
        self._only_one().check_access("read")
        self._check_similar_limit(limit)
        return without_none(self._similar_to_it(limit))

    @api.model
    def _find_similar(self, text=None, error_code=None, limit=SHOWN):
        """See :meth:`find_similar`; ``None`` where nothing is known."""
        self.check_access("read")
        self._check_similar_limit(limit)
        code = self.env["qms.error.code"]
        if error_code:
            with at_field("error_code"):
                code = code._resolve(error_code)
        text = (text or "").strip()
        if not (text or code):
            with at_field("text"):
                raise ValidationError(
                    self.env._("Argument text: give a text, an error code or both.")
                )
        return self._similar(text, code, limit=limit)

    @api.model
    def _check_similar_limit(self, limit):
        if not 1 <= limit <= MOST:
            with at_field("limit"):
                raise ValidationError(
                    self.env._(
                        "Argument limit: %(limit)s is not accepted; give 1 to "
                        "%(most)s.",
                        limit=limit,
                        most=MOST,
                    )
                )

    # === Finding ===

    def _similar_to_it(self, limit=SHOWN):
        """Return the incidents like one incident, which may not be saved yet.

        :rtype: list[dict]
        """
        self.ensure_one()
        text = "\n".join(filter(None, (self.title, self.description)))
        return self._similar(
            text.strip(),
            self.error_code_id,
            self._origin.run_ids.rca_ids.cause_id,
            self.company_id,
            limit,
            self._origin,
        )

    @api.model
    def _similar(
        self, text="", code=None, causes=None, company=None, limit=SHOWN, besides=None
    ):
        """Return incidents like what is described, the most alike first.

        :param str text: its first line is compared with titles
        :param code: qms.error.code record; looked for in the text when empty
        :param causes: qms.error.cause records that are known to be the cause
        :param company: res.company record; the user's by default
        :param int limit: how many at most
        :param besides: qms.incident record that is not meant
        :rtype: list[dict]
        """
        codes = self.env["qms.error.code"]
        recognised = codes
        if text and not code:
            recognised = codes._classify(text[:10_000])[0]
        code = code or recognised
        causes = causes or self.env["qms.error.cause"]
        likely = code.cause_ids - causes
        line = first_line(text)
        alike = self._alike(line, code, causes | likely, company, besides)
        # Rules say what the user may see.
        incidents = self.browse(alike)._filtered_access("read")
        found = []
        for incident in incidents:
            reasons = incident._likenesses(
                line, alike[incident.id], code, recognised, causes, likely
            )
            if reasons:
                found.append((sum(part for _c, part, _w in reasons), incident, reasons))
        found.sort(key=lambda one: (one[0], one[1].detected_at), reverse=True)
        return [
            incident._as_similar(min(score, 1.0), reasons)
            for score, incident, reasons in found[:limit]
        ]

    @api.model
    def _alike(self, line, code, causes, company, besides):
        """Return the incidents that may be alike, and how alike their titles are.

        :param str line: what titles are compared with; may be empty
        :return: likeness of the title (0 to 1) by id
        :rtype: dict[int, float]
        """
        self.flush_model()
        self.env["qms.sop.run"].flush_model(["incident_id"])
        self.env["qms.rca"].flush_model(["run_id", "state", "cause_id"])
        among = SQL(
            "i.company_id = %s AND i.active AND i.state != 'duplicate' AND i.id != %s",
            (company or self.env.company).id,
            besides.id if besides else 0,
        )
        parts = []
        score = SQL("0.0")
        if line and self.env.registry.has_trigram:
            score = SQL("similarity(i.title, %s)", line)
            parts.append(self._latest(among, SQL("i.title <-> %s", line)))
        elif words := telling_words(line):
            score = self._share_of_words(words, among)
            parts.append(
                SQL(
                    """SELECT i.id
                         FROM (SELECT i.id, %s AS share FROM %s) i
                        WHERE i.share >= %s
                     ORDER BY i.share DESC, i.id DESC
                        LIMIT %s""",
                    score,
                    self._looked_through(among),
                    _LEAST_WORDS,
                    _CANDIDATES,
                )
            )
        latest = SQL("i.detected_at DESC")
        if code:
            same = SQL("%s AND i.error_code_id = %s", among, code.id)
            parts.append(self._latest(same, latest))
        if causes:
            caused = SQL(
                """%s AND i.id IN (
                    SELECT run.incident_id
                      FROM qms_rca rca JOIN qms_sop_run run ON run.id = rca.run_id
                     WHERE rca.state = 'confirmed' AND rca.cause_id IN %s)""",
                among,
                tuple(causes.ids),
            )
            parts.append(self._latest(caused, latest))
        if not parts:
            return {}
        rows = self.env.execute_query(
            SQL(
                """SELECT i.id, %s FROM qms_incident i
                     JOIN (%s) alike ON alike.id = i.id""",
                score,
                SQL(" UNION ").join(SQL("(%s)", part) for part in parts),
            )
        )
        return dict(rows)

    @api.model
    def _looked_through(self, among):
        return SQL(
            """(SELECT i.id, i.title, i.description FROM qms_incident i
                 WHERE %s ORDER BY i.id DESC LIMIT %s) i""",
            among,
            _LOOKED_THROUGH,
        )

    @api.model
    def _share_of_words(self, words, among):
        """Return how much of some words an incident i has, where rare words count more.

        :param list words: as of :func:`telling_words`
        :param SQL among: which incidents may be alike
        :return: 0 to 1
        :rtype: SQL
        """
        has = [SQL("strpos(%s, %s) > 0", _WORDS, word) for word in words]
        [(number, *having)] = self.env.execute_query(
            SQL(
                "SELECT count(*), %s FROM %s",
                SQL(", ").join(SQL("count(*) FILTER (WHERE %s)", one) for one in has),
                self._looked_through(among),
            )
        )
        weights = [math.log((number + 1) / max(count, 1)) for count in having]
        whole = sum(weights) or 1.0
        return SQL(
            "(%s)",
            SQL(" + ").join(
                SQL("(%s)::int * %s::float8", one, weight / whole)
                for one, weight in zip(has, weights, strict=True)
            ),
        )

    @api.model
    def _latest(self, which, order):
        return SQL(
            "SELECT i.id FROM qms_incident i WHERE %s ORDER BY %s LIMIT %s",
            which,
            order,
            _CANDIDATES,
        )

    def _likenesses(self, line, alike, code, recognised, causes, likely):
        """Return what one incident has in common with what is described.

        :return: for each: a word for programs, what it adds to the score, and why
        :rtype: list[tuple[str, float, str]]
        """
        found = []
        own = self._analyses().cause_id
        if same := own & causes:
            why = self.env._("same root cause: %s", ", ".join(same.mapped("name")))
            found.append(("cause", _CAUSE, why))
        elif same := own & likely:
            why = self.env._(
                "its root cause is one of %(code)s: %(cause)s",
                code=code.name,
                cause=", ".join(same.mapped("name")),
            )
            found.append(("likely_cause", _LIKELY_CAUSE, why))
        if code and self.error_code_id == code:
            why = (
                self.env._("error code recognised in the text: %s", code.name)
                if recognised
                else self.env._("same error code: %s", code.name)
            )
            found.append(("error_code", _CODE, why))
        trigram = self.env.registry.has_trigram
        if line and alike >= (_LEAST_TRIGRAM if trigram else _LEAST_WORDS):
            likeness = round(alike * 100)
            why = (
                self.env._("similar title (%s %%)", likeness)
                if trigram
                else self.env._("similar words (%s %%)", likeness)
            )
            found.append(("text", _TEXT * alike, why))
        return found

    def _as_similar(self, score, reasons):
        """Return one incident as :meth:`find_similar` does."""
        base_url = self.get_base_url()
        return {
            "id": self.id,
            "name": self.name,
            "title": self.title,
            "state": self.state,
            "open": self.state in HURTING_STATES,
            "severity": self.severity or None,
            "error_code": self.error_code_id.name or None,
            "detected_at": to_rfc3339(self.detected_at),
            "resolved_at": to_rfc3339(self.resolved_at),
            "score": round(score, 2),
            "reasons": [code for code, _part, _why in reasons],
            "why": [why for _code, _part, why in reasons],
            **self._known_fix(),
            "url": f"{base_url}/odoo/qms-incidents/{self.id}",
            "api_url": f"{base_url}/api/v1/incidents/{self.id}",
        }

    def _known_fix(self):
        """Return what the cause of one incident was, and what mended it.

        What was analysed counts most, then what the post-mortem says, then what those
        wrote who resolved it, and at last what helped meanwhile.

        :return: ``root_cause``, ``fix`` and ``fix_from``
        :rtype: dict
        """
        analyses = self._analyses().sorted("confirmed_on", reverse=True)
        postmortem = self.postmortem_id.filtered(lambda one: one.state == "published")
        runs = self.run_ids.sorted("id", reverse=True)
        fixes = [
            *(("analysis", rca.fix) for rca in analyses),
            ("postmortem", postmortem.resolution),
            *(("run", run.resolution) for run in runs),
            ("workaround", self.workaround),
        ]
        source, fix = next(((name, text) for name, text in fixes if text), (None, None))
        causes = [
            *(rca.root_cause or rca.cause_id.name for rca in analyses),
            postmortem.root_cause,
        ]
        return {
            "root_cause": next(filter(None, causes), None),
            "fix": fix,
            "fix_from": source,
        }

    # === REST ===

    @api.model
    def _api_find_similar(self, query):
        """Return incidents like what is described.

        :param query: see ``schemas.incidents_similar.SimilarQuery``
        :return: ``items``
        :rtype: dict
        """
        return {"items": self._find_similar(query.text, query.error_code, query.limit)}

    @api.model
    def _api_similar(self, incident_id, query):
        """Return the incidents like one incident.

        :param int incident_id: database id
        :param query: see ``schemas.incidents_similar.LimitQuery``
        :return: ``items``
        :rtype: dict
        """
        return {"items": self._api_find(incident_id)._similar_to_it(query.limit)}
