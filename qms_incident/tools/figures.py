"""How figures are written; no Odoo."""


def percent_text(value):
    """Return a percentage without digits after the point; a dash where there is none.

    :param value: number of per cent, or ``None``
    :rtype: str
    """
    return "–" if value is None else f"{value:.0f} %"
