"""Who is told of runs at a moment, by the roles they play then."""

from .escalation import immediate


class Duty:
    """Who plays which role at a moment, worked out once for many runs."""

    def __init__(self, env, now):
        self.env = env
        self.now = now
        self._roles = {}
        self._people = {}
        self._starts = {}

    def responsible(self, run):
        """Return the person responsible for a run.

        A user with nothing but the role Automation is a program, and none.
        """
        user = run.user_id
        if user not in self._people:
            self._people[user] = bool(
                user
                and user.active
                and not user.share
                and not user._is_superuser()
                and (
                    user.has_group("qms_error_code.group_qms_operator")
                    or not user.has_group("qms_error_code.group_qms_automation")
                )
            )
        return user if self._people[user] else self.env["res.users"]

    def recipients(self, run, rule, facts):
        """Return whom a rule tells of a run.

        :param run: qms.sop.run record
        :param Rule rule: the rule
        :param Facts facts: of the run
        :return: the roles; ``{user: from when}``; when to try again, or ``None``
        :rtype: tuple
        """
        roles = self.env["qms.role"].browse(rule.role_ids).filtered("active")
        people = self.env["res.users"].browse(rule.user_ids).filtered("active")
        starts = [(user, self._starts_work(user)) for user in people]
        for role in roles:
            if role.is_responsible and (person := self.responsible(run)):
                starts.append((person, self._starts_work(person)))
            else:
                starts += self._starts_of_role(role)
        users = {}
        for user, start in starts:
            known = users.get(user)
            users[user] = min(known, start) if known and start else start or known
        if not users or immediate(rule, facts):
            return roles, dict.fromkeys(users, self.now), None
        # Those who do not come to work in the next weeks are better told now than
        # never.
        if self.now in users.values() or not any(users.values()):
            return (
                roles,
                {user: start or self.now for user, start in users.items()},
                None,
            )
        return roles, {}, min(filter(None, users.values()))

    def _starts_of_role(self, role):
        """Return who plays a role, and when each of them is next at work."""
        if role not in self._roles:
            present = role._holders(self.now)
            self._roles[role] = [
                (
                    user,
                    self.now
                    if user in present
                    else role._holding(self.now)._next_work(user, self.now),
                )
                for user in role._holders(self.now, immediately=True)
            ]
        return self._roles[role]

    def _starts_work(self, user):
        """Return when a person is next at work: now, later, or ``None``."""
        if user not in self._starts:
            self._starts[user] = self.env["qms.role"]._next_work(user, self.now)
        return self._starts[user]
