import re

from odoo import api, fields, models
from odoo.exceptions import ValidationError

PATH = "/qms/status"
_SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_LONGEST_SLUG = 60
# Addresses that are no page's name
_RESERVED = frozenset({"preview"})
DAYS = (1, 365)


class ResCompany(models.Model):
    """Who may see how the company's systems are doing, and where."""

    _inherit = "res.company"

    qms_status_page = fields.Selection(
        [
            ("off", "Nobody: there is no page"),
            ("members", "People of the company who are signed in, portal users too"),
            ("everybody", "Everybody"),
        ],
        "Status page",
        required=True,
        default="off",
        help="Who sees the status page of the company.",
    )
    qms_status_slug = fields.Char(
        "Address of the status page",
        compute="_compute_qms_status_slug",
        store=True,
        readonly=False,
        copy=False,
        help="The last part of its address: small letters, digits and hyphens.",
    )
    qms_status_title = fields.Char(
        "Heading of the status page",
        translate=True,
        help="The name of the company when blank.",
    )
    qms_status_note = fields.Text(
        "Where visitors find help",
        translate=True,
        help="Stands at the end of the status page.",
    )
    qms_status_days = fields.Integer(
        "Days on the status page",
        default=14,
        help="How long a disruption that is over stays on the status page.",
    )

    _qms_status_slug_uniq = models.UniqueIndex(
        "(qms_status_slug)", "Another company's status page has this address."
    )

    @api.depends("qms_status_page")
    def _compute_qms_status_slug(self):
        for company in self:
            if company.qms_status_page != "off" and not company.qms_status_slug:
                company.qms_status_slug = company._free_status_slug()
            else:
                company.qms_status_slug = company.qms_status_slug

    @api.constrains("qms_status_page", "qms_status_slug")
    def _check_qms_status_slug(self):
        for company in self:
            slug = company.qms_status_slug
            if not slug and company.qms_status_page == "off":
                continue
            known = slug and len(slug) <= _LONGEST_SLUG and _SLUG.fullmatch(slug)
            if not known or slug in _RESERVED:
                raise ValidationError(
                    self.env._(
                        "Address of the status page: %(slug)s is not accepted; give up "
                        "to %(longest)s small letters, digits and single hyphens, such "
                        "as “acme-cloud”, but not “preview”.",
                        slug=repr(slug or ""),
                        longest=_LONGEST_SLUG,
                    )
                )

    @api.constrains("qms_status_days")
    def _check_qms_status_days(self):
        first, last = DAYS
        for company in self:
            if not first <= company.qms_status_days <= last:
                raise ValidationError(
                    self.env._(
                        "Days on the status page: %(days)s is not accepted; give "
                        "%(first)s to %(last)s.",
                        days=company.qms_status_days,
                        first=first,
                        last=last,
                    )
                )

    def _free_status_slug(self):
        """Return an address that no other page has, made from the company's name.

        :rtype: str
        """
        self.ensure_one()
        name = self.env["ir.http"]._slugify(self.name or "")
        name = name[: _LONGEST_SLUG - 4].strip("-")
        if not _SLUG.fullmatch(name) or name in _RESERVED:
            name = "status"
        # sudo: addresses are unique among all companies, also those of others.
        others = self.sudo().with_context(active_test=False)
        taken = set(
            others.search([("qms_status_slug", "=like", f"{name}%")]).mapped(
                "qms_status_slug"
            )
        )
        number = 1
        slug = name
        while slug in taken:
            number += 1
            slug = f"{name}-{number}"
        return slug

    def _status_page_path(self):
        """Return the path of the status page of a company.

        :return: empty until it has an address
        :rtype: str
        """
        self.ensure_one()
        return f"{PATH}/{self.qms_status_slug}" if self.qms_status_slug else ""

    def _status_page_url(self):
        """Return where the status page of a company is; empty until it has an address.

        :rtype: str
        """
        path = self._status_page_path()
        return f"{self.get_base_url()}{path}" if path else ""
