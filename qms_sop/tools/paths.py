"""The ways through a procedure whose steps offer choices.

A graph is a tuple with one entry per step, in their order: ``(step id, choices)``,
where ``choices`` is a tuple of ``(choice id, name, target)`` and a target is the
position of a step in the graph, or ``len(graph)`` for the end. A step without
choices leads to the one after it. Edges only lead forward.
"""


def targets(graph, position, decided=None):
    """Return where a step leads to.

    :param tuple graph: see the module
    :param int position: of the step, from 0
    :param decided: id of the choice that was made there, if one was
    :return: positions, in the order of the choices
    :rtype: tuple[int, ...]
    """
    choices = graph[position][1]
    for choice_id, _name, target in choices:
        if choice_id == decided:
            return (target,)
    return tuple(target for _id, _name, target in choices) or (position + 1,)


def needs_choice(graph, position):
    """Return whether the path depends on what is chosen at a step.

    It does where a choice leads elsewhere than to the step that follows anyway.

    :param tuple graph: see the module
    :param int position: of the step, from 0
    :rtype: bool
    """
    return any(target != position + 1 for *_choice, target in graph[position][1])


def branches(graph):
    """Return whether there is more than one way through a graph."""
    return any(needs_choice(graph, position) for position in range(len(graph)))


def on_path(graph, decisions=None):
    """Return the steps that can still be met, or were.

    :param tuple graph: see the module
    :param dict decisions: ``{step id: choice id}``, of the steps where one was made
    :rtype: set[int] of step ids
    """
    decisions = decisions or {}
    met = {0}
    # Edges lead forward, so one pass in order meets every step there is to meet.
    for position, (step_id, _choices) in enumerate(graph):
        if position in met:
            met.update(targets(graph, position, decisions.get(step_id)))
    return {step_id for position, (step_id, _) in enumerate(graph) if position in met}
