"""What the lines and the front matter of a header are called."""

from .blocks import key_of

_FIELDS = {
    "title": "title",
    "subtitle": "subtitle",
    "code": "code",
    "id": "code",
    "document id": "code",
    "document code": "code",
    "document number": "code",
    "sop code": "code",
    "sop id": "code",
    "sop number": "code",
    "version": "version",
    "owner": "owner",
    "document owner": "owner",
    "process owner": "owner",
    "maintainer": "owner",
    "classification": "classification",
    "category": "classification",
    "document type": "classification",
    "status": "status",
    "document status": "status",
    "author": "author",
    "authors": "author",
    "prepared by": "author",
    "written by": "author",
    "date": "date",
    "effective": "effective_date",
    "effective date": "effective_date",
    "updated": "last_updated",
    "last updated": "last_updated",
    "last modified": "last_updated",
    "last revised": "last_updated",
    "next review": "next_review",
    "next review date": "next_review",
    "review date": "next_review",
    "review cycle": "review_cycle",
    "review frequency": "review_cycle",
    "approved by": "approved_by",
    "approver": "approved_by",
}


def field_of(label):
    """Return the field of a header that a label stands for, or ``None``.

    :param str label: as written, such as ``Document Owner`` or ``next_review``
    """
    return _FIELDS.get(key_of(label.replace("_", " ")))
