from odoo import models

from ..tools.pdf_footer import add_footer


class IrActionsReport(models.Model):
    _inherit = "ir.actions.report"

    def _build_wkhtmltopdf_args(self, *args, **kwargs):
        # The pages are UTF-8; without the patched Qt it takes them for Latin-1.
        return [
            *super()._build_wkhtmltopdf_args(*args, **kwargs),
            "--encoding",
            "utf-8",
        ]

    def _render_qweb_pdf_prepare_streams(self, report_ref, data, res_ids=None):
        report = self._get_report(report_ref)
        paper = self.env.get(f"report.{report.report_name}")
        if not res_ids or not isinstance(paper, self.pool["qms.paper.report"]):
            return super()._render_qweb_pdf_prepare_streams(report_ref, data, res_ids)
        records = self.env[report.model].browse(dict.fromkeys(res_ids))
        if paper._together:
            # Without ids: Odoo would cut the pages up among the records.
            streams = super()._render_qweb_pdf_prepare_streams(
                report_ref, {**(data or {}), "record_ids": records.ids}
            )
            return self._with_footer(streams, paper._footer_text(records))
        # One at a time: wkhtmltopdf without the patched Qt refuses several
        # documents, and pages are counted per document.
        streams = {}
        for record in records:
            streams |= self._with_footer(
                super()._render_qweb_pdf_prepare_streams(report_ref, data, record.ids),
                paper._footer_text(record),
            )
        return streams

    def _with_footer(self, streams, text):
        """Put the line at the foot of the pages of rendered PDFs."""
        for stream in streams.values():
            stream["stream"] = add_footer(stream["stream"], text)
        return streams
