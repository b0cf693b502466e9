"""Who may do what."""


def can_open(records, user):
    """Tell whether a user may read records.

    Whatever companies whoever asks has selected: some of those may be none of the
    user's, which Odoo refuses altogether.

    :param records: of any model
    :param user: one ``res.users`` record
    :rtype: bool
    """
    theirs = records.with_user(user).with_context(allowed_company_ids=[])
    return theirs.has_access("read")
