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
        if report.model != "qms.sop.document" or not res_ids:
            return super()._render_qweb_pdf_prepare_streams(report_ref, data, res_ids)
        # One at a time: wkhtmltopdf without the patched Qt refuses several
        # documents, and pages are counted per document.
        streams = {}
        for document in self.env[report.model].browse(dict.fromkeys(res_ids)):
            streams.update(
                super()._render_qweb_pdf_prepare_streams(report_ref, data, document.ids)
            )
            streams[document.id]["stream"] = add_footer(
                streams[document.id]["stream"], document._footer_text()
            )
        return streams
