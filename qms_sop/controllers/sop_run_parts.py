import base64

from odoo.http import Controller, request

from ..schemas import sop_runs as schemas
from ..schemas.common import NoQuery, PageQuery
from .api import MERGE_PATCH, Answer, api_route
from .problems import Problem

_MEBIBYTE = 1024 * 1024


def _max_upload(env):
    """Return how many bytes an upload may have, base64 and the rest included."""
    return env["qms.sop.run.evidence"]._limit_mb() * _MEBIBYTE * 4 // 3 + _MEBIBYTE


class SopRunStepController(Controller):
    @api_route(
        "/sop-runs/<int:run_id>/steps",
        method="GET",
        summary="List the steps of a run",
        tag="Steps of a run",
        query=NoQuery,
        response=schemas.StepList,
        etag=True,
    )
    def list_steps(self, run_id):
        """All of them, in the order of the SOP."""
        steps, etag = request.env["qms.sop.run"]._api_steps(run_id)
        return Answer({"items": steps, "next_cursor": None}, etag=etag)

    @api_route(
        "/sop-runs/<int:run_id>/steps/<int:number>",
        method="GET",
        summary="Get a step of a run",
        tag="Steps of a run",
        response=schemas.RunStep,
        etag=True,
    )
    def get_step(self, run_id, number):
        """By its number in the SOP, from 1. The ETag is the run's."""
        step, etag = request.env["qms.sop.run"]._api_step(run_id, number)
        return Answer(step, etag=etag)

    @api_route(
        "/sop-runs/<int:run_id>/steps/<int:number>",
        method="PATCH",
        summary="Move a step on",
        tag="Steps of a run",
        request=schemas.StepUpdate,
        response=schemas.RunStep,
        media=MERGE_PATCH,
        if_match=True,
        etag=True,
    )
    def update_step(self, run_id, number, body, if_match):
        """Starts, completes, fails or skips the step. `If-Match` and the ETag are the
        run's.
        """
        step, etag = request.env["qms.sop.run"]._api_update_step(
            run_id, number, body.model_dump(exclude_unset=True), if_match
        )
        return Answer(step, etag=etag)


class SopRunErrorController(Controller):
    @api_route(
        "/sop-runs/<int:run_id>/errors",
        method="GET",
        summary="List the errors of a run",
        tag="Errors of a run",
        query=PageQuery,
        response=schemas.ErrorPage,
    )
    def list_errors(self, run_id, query):
        """The errors that the run met, the first one first."""
        return request.env["qms.sop.run"]._api_parts(run_id, "errors", query)

    @api_route(
        "/sop-runs/<int:run_id>/errors",
        method="POST",
        summary="Record an error",
        tag="Errors of a run",
        request=schemas.ErrorCreate,
        response=schemas.RunError,
        status=201,
    )
    def create_error(self, run_id, body):
        """Without an `error_code` the message is looked up in the catalogue; when
        that finds nothing, the code is `STEP_FAILURE`.
        """
        return request.env["qms.sop.run"]._api_add_error(
            run_id, body.model_dump(exclude_unset=True)
        )


class SopRunEvidenceController(Controller):
    @api_route(
        "/sop-runs/<int:run_id>/evidence",
        method="GET",
        summary="List the evidence of a run",
        tag="Evidence of a run",
        query=PageQuery,
        response=schemas.EvidencePage,
    )
    def list_evidence(self, run_id, query):
        """Without the content of the files."""
        return request.env["qms.sop.run"]._api_parts(run_id, "evidence", query)

    @api_route(
        "/sop-runs/<int:run_id>/evidence",
        method="POST",
        summary="Attach evidence",
        tag="Evidence of a run",
        request=schemas.EvidenceCreate,
        form=schemas.EvidenceForm,
        response=schemas.AddedEvidence,
        status=201,
        max_body=_max_upload,
    )
    def create_evidence(self, run_id, body):
        """As a form (`curl -F file=@app.log`), or as JSON with the content in base64.
        Evidence is never replaced or deleted.
        """
        values = body.model_dump(exclude_unset=True)
        if "file" in values:
            values |= _read_file(values.pop("file"))
        evidence = request.env["qms.sop.run"]._api_add_evidence(run_id, values)
        location = evidence["content_url"].removesuffix("/content")
        return Answer(evidence, headers={"Location": location})

    @api_route(
        "/sop-runs/<int:run_id>/evidence/<int:evidence_id>",
        method="GET",
        summary="Get one piece of evidence",
        tag="Evidence of a run",
        response=schemas.RunEvidence,
    )
    def get_evidence(self, run_id, evidence_id):
        """What is known of the file; `content_url` leads to its content."""
        runs = request.env["qms.sop.run"]
        return runs._api_part(run_id, "evidence", evidence_id)._api_dicts()[0]

    @api_route(
        "/sop-runs/<int:run_id>/evidence/<int:evidence_id>/content",
        method="GET",
        summary="Download evidence",
        tag="Evidence of a run",
        produces="*/*",
    )
    def download_evidence(self, run_id, evidence_id):
        """The file as it was attached, with its own content type. The ETag is its
        SHA-256.
        """
        runs = request.env["qms.sop.run"]
        evidence = runs._api_part(run_id, "evidence", evidence_id)
        return evidence._api_stream().get_response(as_attachment=True)


class SopRunRcaController(Controller):
    @api_route(
        "/sop-runs/<int:run_id>/rca",
        method="GET",
        summary="List the root-cause analyses of a run",
        tag="Root-cause analyses of a run",
        query=PageQuery,
        response=schemas.RcaPage,
    )
    def list_rca(self, run_id, query):
        """The analyses of the run, the first one first."""
        return request.env["qms.sop.run"]._api_parts(run_id, "rca", query)

    @api_route(
        "/sop-runs/<int:run_id>/rca",
        method="POST",
        summary="Record a root-cause analysis",
        tag="Root-cause analyses of a run",
        request=schemas.RcaCreate,
        response=schemas.Rca,
        status=201,
    )
    def create_rca(self, run_id, body):
        """Also after the run has ended. Confirmed, an analysis is sealed."""
        return request.env["qms.sop.run"]._api_add_rca(
            run_id, body.model_dump(exclude_none=True)
        )


def _read_file(file):
    """Return an uploaded file as the values of evidence.

    :param file: werkzeug's ``FileStorage``
    :rtype: dict
    :raises Problem: when the part of the form is no file
    """
    if not getattr(file, "filename", None):
        raise Problem(
            "invalid",
            "file: send a file with its name (curl -F file=@app.log).",
            [{"field": "file", "detail": "A file with a name is needed"}],
        )
    name = file.filename.replace("\\", "/").rpartition("/")[2].replace("\0", "")
    return {"name": name[:255], "content": base64.b64encode(file.read()).decode()}
