from odoo import api, fields, models
from odoo.exceptions import ValidationError
from odoo.fields import Domain
from odoo.tools import ormcache

from ...tools import message_template


class QmsNotificationTemplate(models.Model):
    """An event that people are told about, and in which words.

    The texts are translated like any other text of Odoo, so there is one template
    per event and language. Add-ons bring further events by further records.
    """

    _name = "qms.notification.template"
    _description = "Notification template"
    _inherit = ["mail.thread", "qms.audit.mixin"]
    _order = "sequence, id"

    name = fields.Char("Event", required=True, translate=True)
    code = fields.Char(
        required=True,
        copy=False,
        help="What programs call the event, such as run_opened.",
    )
    sequence = fields.Integer(default=10)
    active = fields.Boolean(
        default=True,
        tracking=True,
        help="Nobody is told about an event that is archived.",
    )
    model = fields.Char(
        help="Technical name of what the event happens to, such as qms.sop.run.",
    )
    extra_names = fields.Char(
        "Further values",
        help="Names that this event has values for, besides those of its record; "
        "separated by commas.",
    )
    subject = fields.Char(required=True, translate=True, tracking=True)
    body = fields.Text("Message", required=True, translate=True)
    intent = fields.Selection(
        [
            ("open", "Somebody has to act"),
            ("acknowledge", "Somebody took it over"),
            ("resolve", "It is over"),
            ("tell", "For information"),
        ],
        "Means",
        required=True,
        default="tell",
        help="PagerDuty opens, acknowledges or resolves an incident accordingly; chats "
        "show it by a colour.",
    )
    in_odoo = fields.Selection(
        [
            ("activity", "An activity"),
            ("message", "A message in the inbox"),
            ("none", "Nothing"),
        ],
        "Inside Odoo",
        required=True,
        default="message",
        tracking=True,
        help="What those who are told in person get. Who has Odoo's notifications by "
        "mail and no inbox gets an activity instead of a message.",
    )
    important = fields.Boolean(
        tracking=True,
        help="Told by mail also to those who only want important mails.",
    )
    placeholders = fields.Text(
        "Values",
        compute="_compute_placeholders",
        help="What can be named in the texts.",
    )
    preview_lang = fields.Selection(
        selection=lambda self: self.env["res.lang"].get_installed(),
        string="Preview in",
        store=False,
    )
    preview_subject = fields.Char(compute="_compute_preview")
    preview_body = fields.Text(compute="_compute_preview")

    _code_uniq = models.Constraint(
        "UNIQUE(code)", "There is already a template for this event."
    )

    # === Computes ===

    @api.depends("model", "extra_names")
    def _compute_placeholders(self):
        for template in self:
            template.placeholders = "\n".join(
                f"{{{{{name}}}}} – {meaning}" if meaning else f"{{{{{name}}}}}"
                for name, meaning in template._known_names().items()
            )

    @api.depends("subject", "body", "model", "extra_names", "preview_lang")
    @api.depends_context("lang")
    def _compute_preview(self):
        for own in self:
            template = own
            if own.preview_lang and own.preview_lang != self.env.lang:
                template = own.with_context(lang=own.preview_lang)
            record = own._example_record()
            values = {}
            if record:
                values = template._values(record.with_env(template.env))
            for name, meaning in template._known_names().items():
                # What only the event itself knows is shown as what it is.
                values.setdefault(name, f"‹{meaning or name}›")
            own.preview_subject, own.preview_body = template._render(values)

    def _example_record(self):
        """Return the newest record that the event could happen to, if there is one."""
        if self.model not in self.env:
            return None
        records = self.env[self.model]
        return records.has_access("read") and records.search(
            Domain.TRUE, order="id desc", limit=1
        )

    # === Constraints ===

    @api.constrains("code")
    def _check_code(self):
        for template in self:
            if not message_template.NAME.fullmatch(template.code):
                raise ValidationError(
                    self.env._(
                        "Code: %(code)s is not accepted; lower-case letters, digits "
                        "and underscores, beginning with a letter.",
                        code=repr(template.code),
                    )
                )

    @api.constrains("subject", "body", "model", "extra_names")
    def _check_texts(self):
        for template in self:
            known = template._known_names()
            for field in ("subject", "body"):
                label = self._fields[field]._description_string(self.env)
                try:
                    named = message_template.names(template[field])
                except message_template.TemplateError as error:
                    raise ValidationError(
                        self.env._(
                            "%(field)s: “%(text)s” is no placeholder. Write "
                            "{{name}}, {{name?}} or {{name ||| other words}}.",
                            field=label,
                            text=error,
                        )
                    ) from None
                unknown = [name for name in named if name not in known]
                if unknown:
                    raise ValidationError(
                        self.env._(
                            "%(field)s: there is no value %(names)s. Accepted: "
                            "%(known)s.",
                            field=label,
                            names=", ".join(unknown),
                            known=", ".join(sorted(known)),
                        )
                    )

    # === CRUD ===

    @api.model_create_multi
    def create(self, vals_list):
        self.env.registry.clear_cache()
        return super().create(vals_list)

    def write(self, vals):
        if {"code", "active", "intent"} & vals.keys():
            self.env.registry.clear_cache()
        return super().write(vals)

    def unlink(self):
        self.env.registry.clear_cache()
        return super().unlink()

    # === Business ===

    @api.model
    def _by_code(self, code):
        """Return the template of an event, empty when the event is switched off.

        :param str code: of the event
        :rtype: qms.notification.template record
        :raises ValidationError: for an event that is not known
        """
        known = self._ids_by_code()
        if code not in known:
            raise ValidationError(
                self.env._(
                    "Event %(code)s is unknown. Accepted: %(known)s.",
                    code=repr(code),
                    known=", ".join(sorted(known)),
                )
            )
        template_id, active = known[code]
        return self.browse(template_id if active else [])

    @api.model
    @ormcache()
    def _ids_by_code(self):
        """Return the templates there are.

        :return: ``{code: (id, active)}``
        :rtype: dict
        """
        # sudo: whoever does something may not read in which words others hear of it.
        templates = self.sudo().with_context(active_test=False).search([])
        return {one.code: (one.id, one.active) for one in templates}

    @api.model
    @ormcache()
    def _intents(self):
        """Return what the events mean.

        :return: ``{code: intent}``
        :rtype: dict
        """
        # sudo: see _ids_by_code
        templates = self.sudo().with_context(active_test=False).search([])
        return {one.code: one.intent for one in templates}

    def _known_names(self):
        """Return what the texts of one template may name.

        :return: ``{name: what it is}``
        :rtype: dict
        """
        self.ensure_one()
        model = self.env.get(self.model or "")
        if not hasattr(model, "_notification_names"):
            model = self.env["qms.notification.source.mixin"]
        names = {**model._notification_names(), "event": self.env._("the event")}
        for name in (self.extra_names or "").split(","):
            if name.strip():
                names.setdefault(name.strip(), "")
        return names

    def _values(self, record):
        """Return what one record says about itself, for one template.

        :param record: any record
        :rtype: dict
        """
        if hasattr(record, "_notification_values"):
            values = record._notification_values()
        else:
            values = {"name": record.display_name, "kind": record._description}
        return {**values, "event": self.name}

    def _render(self, values):
        """Fill in the texts of one template, in the language of the env.

        :param dict values: by name
        :return: subject, in one line, and message
        :rtype: tuple[str, str]
        """
        self.ensure_one()
        missing = self.env._("not known")
        subject = message_template.render(self.subject, values, missing)
        return " ".join(subject.split()), message_template.render(
            self.body, values, missing
        )
