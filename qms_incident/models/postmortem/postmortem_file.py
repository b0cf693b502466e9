import re
from datetime import date

import pytz

from odoo import fields
from odoo.exceptions import UserError, ValidationError
from odoo.fields import Domain

from odoo.addons.qms_sop.tools.faults import at_field
from odoo.addons.qms_sop.tools.runbook import as_date
from odoo.addons.qms_sop.tools.values import to_rfc3339

from ...tools import postmortem_tables, postmortem_text, timeline_text
from ...tools.postmortem_sections import SECTIONS

_MAX_ACTIONS = 200
_WORDS = {
    "done": re.compile(r"done|completed?|closed|finished|resolved|yes|effective", re.I),
    "in_progress": re.compile(r"in progress|started|doing|wip|ongoing", re.I),
    "cancelled": re.compile(r"cancell?ed|rejected|dropped|won.?t (do|fix)", re.I),
    "open": re.compile(r"open|todo|to do|pending|planned|new|not started|no|", re.I),
}
# Signs before the word for a state, such as a tick
_SIGNS = re.compile(r"^[^\w]+")


class PostmortemFile:
    """What a file says about an incident, and what of it is there already."""

    def __init__(self, incident, parsed):
        """
        :param incident: qms.incident record
        :param postmortem_text.Postmortem parsed: the file
        """
        self.env = incident.env
        self._incident = incident
        self._parsed = parsed
        self._postmortem = incident.postmortem_ids
        self._notes = list(parsed.notes)
        self.remarks = []
        self.header = self._read_header()
        self.texts, self.whys = self._read_texts()
        self.entries = self._read_entries()
        self.items = self._read_actions()
        self._keep_notes()

    # --- Texts

    def _read_header(self):
        """Return what the header says otherwise than the records.

        :return: dicts with ``key``, ``label``, ``text`` and ``here``
        :rtype: list[dict]
        """
        incident, told = self._incident, dict(self._parsed.header)
        named = told.pop("incident", None)
        if named and named.upper() != incident.name:
            self.remarks.append(
                self.env._(
                    "The file is about %(named)s; it is taken over for %(incident)s.",
                    named=named,
                    incident=incident.name,
                )
            )
        # It follows from what becomes of it here.
        told.pop("status", None)
        postmortem = self._postmortem or self.env["qms.postmortem"].new(
            {"incident_id": incident.id, "title": incident.title}
        )
        here = postmortem._header()
        self.author = self._person(told.get("author"))
        if self.author:
            told.pop("author")
        severities = self.env["qms.severity"].with_context(lang="en_US")
        severity = severities.browse(incident.severity_id.id)
        same = {
            "severity": {
                (word or "").lower()
                for word in (severity.code, severity.alias, severity.name)
            },
            "date": {here["date"]},
        }
        differing = []
        for key, text in told.items():
            said = text.lower()
            if said == here[key].lower() or said in same.get(key, ()):
                continue
            if key == "date" and self._day_of(text) == incident.day:
                continue
            differing.append(
                {
                    "key": key,
                    "label": postmortem_text.HEADER[key],
                    "text": text,
                    "here": here[key],
                }
            )
        return differing

    @staticmethod
    def _day_of(text):
        iso = re.match(r"\d{4}-\d{2}-\d{2}", text or "")
        return as_date(iso[0] if iso else text or "")

    def _person(self, words):
        """Return the only person that a name or login can mean, or ``None``."""
        words = re.sub(r"^@", "", (words or "").strip())
        if not words:
            return None
        actions = self.env["qms.action"]
        people = self.env["res.users"].search(
            Domain(actions._domain_people())
            & Domain("company_ids", "in", self._incident.company_id.ids)
            & (Domain("login", "=ilike", _exact(words)) | _named(words)),
            limit=3,
        )
        by_login = people.filtered(lambda one: one.login.lower() == words.lower())
        people = by_login or people
        return people if len(people) == 1 else None

    def _read_texts(self):
        """Return the texts by field, and the whys."""
        texts = dict(self._parsed.sections)
        whys = []
        if "whys" in texts:
            whys, texts["whys"] = postmortem_tables.read_whys(texts["whys"], sure=True)
        elif "root_cause" in texts:
            whys, texts["root_cause"] = postmortem_tables.read_whys(texts["root_cause"])
        if rest := texts.pop("whys", ""):
            texts["root_cause"] = "\n\n".join(
                filter(None, (texts.get("root_cause"), rest))
            )
        factors = postmortem_text.entries_of(texts.get("factors", ""))
        if factors is not None:
            texts["factors"] = factors
        if time := texts.pop("time", None):
            # The incident says when; the quick form has no other place for it.
            own = self._postmortem._time_text() if self._postmortem else ""
            if time != own:
                self.header.append(
                    {"key": "time", "label": "Time", "text": time, "here": own}
                )
        return {key: text for key, text in texts.items() if text}, whys

    def _keep_notes(self):
        """Put what has no place of its own into the follow-up."""
        notes = self._notes
        for heading, _text in notes:
            self.remarks.append(
                self.env._(
                    "There is no section for “%s”: it is kept below Follow-up.",
                    heading or self.env._("the text above the first label"),
                )
            )
        kept = [one for one in self.header if one["text"]]
        if kept:
            lines = [f"- **{one['label']}:** {one['text']}" for one in kept]
            notes.append(("As in the file", "\n".join(lines)))
            self.remarks += [self._differs(one) for one in kept]
        if notes:
            # The quick form has no follow-up; what it can show, it shows.
            key = "follow_up" if self._parsed.kind == "full" else "preventive_measures"
            text = postmortem_text.with_notes(self.texts.get(key, ""), notes)
            self.texts[key] = text

    def _differs(self, one):
        """Return the remark on a line of the header that says something else."""
        if not one["here"]:
            return self.env._(
                "%(label)s: “%(text)s” is in the file only; it is kept below "
                "Follow-up.",
                label=one["label"],
                text=one["text"],
            )
        return self.env._(
            "%(label)s: the file says “%(text)s”, the records “%(here)s”. These stay; "
            "the words of the file are kept below Follow-up.",
            label=one["label"],
            text=one["text"],
            here=one["here"],
        )

    # --- Timeline

    def _read_entries(self):
        """Return the entries of the timeline.

        :return: dicts with ``entry`` and ``known``
        :rtype: list[dict]
        """
        text = self.texts.pop("timeline", "")
        if not text:
            return []
        incident = self._incident
        rows = incident._timeline_rows()
        known = incident._known_entries()
        known |= {(row["time"], timeline_text._plain(row["event"])) for row in rows}
        day, zone = self._clock()
        lines = [
            line
            for line in text.split("\n")
            if line.lstrip().startswith("|") or "|" not in text
        ]
        # A list is a log with marks before its lines.
        lines = [re.sub(r"^\s*[-*+]\s+|\*\*", "", line) for line in lines]
        found, problems = timeline_text.read("\n".join(lines), day, zone)
        latest = fields.Datetime.add(fields.Datetime.now(), minutes=1)
        entries = []
        for entry in found:
            if entry.at > latest:
                self.remarks.append(
                    self.env._(
                        "Timeline: %(time)s is in the future; “%(text)s” is no entry "
                        "of the incident.",
                        time=to_rfc3339(entry.at),
                        text=entry.text[:60],
                    )
                )
                continue
            told = (f"{entry.at:%Y-%m-%d %H:%M:%S}", entry.text)
            is_known = (entry.at, entry.text) in known or told in known
            entries.append({"entry": entry, "known": is_known})
        for problem in problems:
            self.remarks.append(
                self.env._(
                    "Timeline: “%(text)s” is no entry of the incident: %(why)s.",
                    text=problem.text,
                    why=problem.why,
                )
            )
        new = [one for one in entries if not one["known"]]
        if new:
            self.remarks.append(
                self.env._(
                    "Timeline: times are taken for %(zone)s, those without a date from "
                    "%(day)s on.",
                    zone=zone,
                    day=day.isoformat(),
                )
            )
        if new and (incident._is_final() or len(found) > timeline_text.MAX_ENTRIES):
            self.remarks.append(
                self.env._(
                    "Timeline: %s takes no more entries, or not so many; it stands in "
                    "the post-mortem only.",
                    incident.name,
                )
            )
            entries = [one for one in entries if one["known"]]
        as_it_is = len(found) == len(entries) == len(rows) and not (problems or new)
        if not as_it_is:
            if (day, zone) != (incident.day, "UTC") and not problems:
                # The day and the zone stand elsewhere in the file.
                text = postmortem_tables.with_dates(text, [one.at for one in found])
            self.texts["timeline"] = text
        return entries

    def _clock(self):
        """Return the day and the zone of times that come without."""
        hint = self._parsed.zone_hint
        names = re.findall(r"[A-Za-z]+/[A-Za-z_]+", hint)
        zone = next((name for name in names if name in pytz.all_timezones_set), "UTC")
        day = self._day_of(self._parsed.header.get("date")) or self._incident.day
        # A year that nobody can mean is not taken for one.
        return (day if date(1971, 1, 1) <= day else self._incident.day), zone

    # --- Actions

    def _read_actions(self):
        """Return the actions that the file lists.

        :return: dicts with ``item``, ``known`` and ``values``
        :rtype: list[dict]
        """
        items, rest = postmortem_tables.read_items(self.texts.pop("actions", ""))
        if rest:
            self._notes.append((postmortem_text.HEADINGS["actions"], rest))
        if len(items) > _MAX_ACTIONS:
            with at_field("content"):
                raise ValidationError(
                    self.env._(
                        "The post-mortem: it lists %(count)s actions; up to %(most)s "
                        "are taken.",
                        count=len(items),
                        most=_MAX_ACTIONS,
                    )
                )
        raised = self._postmortem and self._postmortem._document_actions()
        raised = raised or self._incident._all_actions()
        known = {action.name.strip() for action in raised}
        found = []
        for position, item in enumerate(items, 1):
            if not raised and item.reference == f"AI-{position:03d}":
                # That is the number it gets.
                item = item._replace(reference="")
            found.append(
                {
                    "item": item,
                    "known": item.title.strip() in known,
                    **self._action_values(item),
                }
            )
            known.add(item.title.strip())
        return found

    def _action_values(self, item):
        """Return the values of an action, its state, and what is said besides.

        :rtype: dict
        """
        actions = self.env["qms.action"]
        values, besides = {"title": item.title}, []

        def take(name, label, text, method):
            if not text:
                return
            try:
                values[name] = method(text)
            except ValidationError:
                besides.append((label, text))

        person = self._person(item.owner)
        if item.owner and not person:
            besides.append(("Owner", item.owner))
        take("priority", "Priority", item.priority, self._checked(actions, "priority"))
        take("type", "Type", item.type, self._checked(actions, "type"))
        due = as_date(item.due)
        if item.due and not (due and 2000 <= due.year < 2200):
            besides.append(("Due Date", item.due))
        elif due:
            values["due_date"] = due.isoformat()
        status = _SIGNS.sub("", item.status).strip()
        state = next(
            (key for key, one in _WORDS.items() if one.fullmatch(status)), None
        )
        if item.done:
            state = "done"
        if state is None:
            besides.append(("Status", item.status))
        if item.reference:
            besides.append(("ID", item.reference))
        besides += item.more
        lines = [f"{label}: {text}" if label else text for label, text in besides]
        if lines:
            values["description"] = "\n".join(lines)
        return {
            "values": values,
            "owner": person,
            "state": state or "open",
            "besides": besides,
        }

    @staticmethod
    def _checked(actions, name):
        """Return a function that lets a word through that actions understand."""

        def method(text):
            word = text.strip().lower()
            actions._plain_value(name, word)
            return word

        return method

    # --- What is told, and what is done

    def told(self):
        """Return what is understood, in plain values."""
        postmortem = self._postmortem
        headings = {**dict(SECTIONS["full"]), **dict(SECTIONS[self._kind()])}
        return {
            "incident": self._incident.name,
            "incident_id": self._incident.id,
            "postmortem": postmortem.name or None,
            "title": self._parsed.title or self._incident.title,
            "kind": self._kind(),
            "author": self.author.login if self.author else None,
            "header": self.header,
            "sections": [
                {
                    "key": key,
                    "heading": headings[key],
                    "line": self._parsed.lines.get(key),
                    "text": self.texts[key],
                    "change": self._change(key),
                }
                for key in headings
                if key in self.texts
            ],
            "whys": [why._asdict() for why in self.whys],
            "entries": [
                {
                    **one["entry"]._asdict(),
                    "at": to_rfc3339(one["entry"].at),
                    "known": one["known"],
                }
                for one in self.entries
            ],
            "actions": [
                {
                    "title": one["item"].title,
                    "known": one["known"],
                    "owner": one["owner"].login if one["owner"] else None,
                    "priority": one["values"].get("priority"),
                    "type": one["values"].get("type"),
                    "due_date": one["values"].get("due_date"),
                    "state": one["state"],
                    "kept": [": ".join(filter(None, pair)) for pair in one["besides"]],
                }
                for one in self.items
            ],
            "remarks": self.remarks,
        }

    def _kind(self):
        if self._parsed.kind == "full" or self._incident._is_grave():
            return "full"
        return self._postmortem.kind if self._postmortem else "quick"

    def _change(self, key):
        had = (self._postmortem and self._postmortem[key] or "").strip()
        if had == self.texts[key].strip():
            return "same"
        return "replaced" if had else "new"

    def take_over(self, values):
        """Write all of it; see ``import_markdown``.

        :param dict values: what is given besides, by the names of clients
        :rtype: dict
        """
        given = {"kind": self._kind(), **self.texts}
        if "factors" in given:
            given["contributing_factors"] = given.pop("factors")
        if self._parsed.title:
            given["title"] = self._parsed.title
        if self.author:
            given["author"] = self.author.login
        said = self._postmortem._whys() if self._postmortem else []
        whys = [why._asdict() for why in self.whys]
        if whys and [_answer(why) for why in said] != [_answer(why) for why in whys]:
            given["whys"] = whys
        given |= values
        postmortem = self._postmortem
        if postmortem:
            # What it says already need not be written again, nor can it be sealed.
            given = {
                name: value
                for name, value in given.items()
                if name in values or not self._is_said(postmortem, name, value)
            }
        postmortem, existing = self._incident._write_postmortem(given)
        new = [one["entry"] for one in self.entries if not one["known"]]
        if new:
            self._incident._check_entries_allowed()
            self._incident._add_entries(new)
        raised = [one for one in self.items if not one["known"]]
        for one in raised:
            self._raise(postmortem, one)
        return {
            **postmortem._to_dict(),
            "existing": existing,
            "entries_added": len(new),
            "actions_added": len(raised),
            "remarks": self.remarks,
        }

    @staticmethod
    def _is_said(postmortem, name, value):
        if name == "whys":
            return False
        values = postmortem._values({name: value})
        return all(
            (postmortem[field].id if field == "author_id" else postmortem[field])
            == found
            for field, found in values.items()
        )

    def _raise(self, postmortem, one):
        """Raise one action of the file, and bring it where the file has it."""
        actions = self.env["qms.action"].with_context(
            default_source_type="postmortem", default_postmortem_id=postmortem.id
        )
        values = actions._plain_values(one["values"])
        # Nobody is made the owner whom the file does not name.
        values["user_id"] = one["owner"].id if one["owner"] else False
        action = actions.create(values).with_env(self.env)
        told = self.env._("As the imported post-mortem has it.")
        state = one["state"]
        try:
            with self.env.cr.savepoint():
                if state == "done":
                    action._go("done", result=told)
                elif state == "in_progress":
                    action._go("in_progress")
                elif state == "cancelled":
                    action._go("cancelled", reason=told)
        except UserError as error:
            self.remarks.append(
                self.env._(
                    "Action “%(title)s” stays open: %(why)s",
                    title=action.name,
                    why=str(error),
                )
            )


def _answer(why):
    return why["question"], why["answer"], why["evidence"] or None


def _exact(words):
    """Return a pattern of ``=ilike`` that only these words fit."""
    return re.sub(r"([\\%_])", r"\\\1", words)


def _named(words):
    return Domain("name", "=ilike", _exact(words))
