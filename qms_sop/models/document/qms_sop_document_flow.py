from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.tools import ormcache

from ...tools import paths


class QmsSopDocument(models.Model):
    """The ways through a revision, where its steps offer choices."""

    _inherit = "qms.sop.document"

    has_flow = fields.Boolean("Has choices", compute="_compute_flow")
    flow = fields.Json(
        compute="_compute_flow", help="The steps and choices, to be drawn."
    )

    @api.depends(
        "step_ids.name",
        "step_ids.sequence",
        "step_ids.choice_ids.name",
        "step_ids.choice_ids.sequence",
        "step_ids.choice_ids.next_step_id",
        "step_ids.choice_ids.ends",
        "step_ids.choice_ids.category_id",
    )
    def _compute_flow(self):
        for document in self:
            flow = document._draw_flow()
            document.flow = flow
            document.has_flow = any(step["choices"] for step in flow)

    def _draw_flow(self):
        """Return the steps and choices as they are drawn.

        Numbers stand for the steps, because a step that is not saved yet has
        no id.

        :return: dicts with ``number``, ``name``, ``mandatory`` and ``choices``:
            dicts with ``name``, ``target`` (a number; one after the last step is
            the end) and ``category``
        :rtype: list[dict]
        """
        self.ensure_one()
        steps = self.step_ids.sorted("sequence")
        numbers = {step: number for number, step in enumerate(steps, 1)}
        return [
            {
                "number": number,
                "name": step.name or "",
                "mandatory": step.mandatory,
                "choices": [
                    {
                        "name": choice.name or "",
                        "target": len(steps) + 1
                        if choice.ends
                        else numbers.get(choice.next_step_id, number + 1),
                        "category": choice.category_id.code or False,
                    }
                    for choice in step.choice_ids.sorted("sequence")
                ],
            }
            for step, number in numbers.items()
        ]

    def _build_graph(self):
        """Return the graph of this revision as :mod:`...tools.paths` takes it.

        :rtype: tuple
        """
        self.ensure_one()
        steps = self.step_ids.sorted()
        positions = {step: position for position, step in enumerate(steps)}
        return tuple(
            (
                step.id,
                tuple(
                    (
                        choice.id,
                        choice.name,
                        len(steps)
                        if choice.ends
                        else positions.get(choice.next_step_id, position + 1),
                    )
                    for choice in step.choice_ids
                ),
            )
            for step, position in positions.items()
        )

    @ormcache("self.id")
    def _graph(self):
        """Return the graph of this approved revision; like its outline, cached.

        :rtype: tuple
        """
        return self.sudo()._build_graph()  # the caller has read access to a run of it

    def _prepare_in_review(self, source, vals):
        self.step_ids.choice_ids._check_leads_on()
        for document in self:
            reachable = paths.on_path(document._build_graph())
            lost = document.step_ids.browse(set(document.step_ids.ids) - reachable)
            if lost:
                raise UserError(
                    self.env._(
                        "%(sop)s: no way leads to step %(steps)s. Every choice "
                        "before it goes elsewhere.",
                        sop=document.display_name,
                        steps=", ".join(lost.sorted().mapped("display_name")),
                    )
                )
        return super()._prepare_in_review(source, vals)
