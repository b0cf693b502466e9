# ruff: noqa: F821
# `env` is a name of the shell.
"""Make an automation user and print a new API key for it, on the last line.

Meant for the standard input of ``odoo shell``, as a pipeline or a monitoring host would
be given its access::

    odoo shell -d qms_demo --no-http < examples/automation_key.py | tail -n 1

The user gets no password: with one, every authentication with the key would first spend
about a second on hashing the key as if it were the password. A key that was made here
before is removed.
"""

LOGIN = "automation"
KEY_NAME = "demo"

user = env["res.users"].search([("login", "=", LOGIN)])
if not user:
    group = env.ref("qms_error_code.group_qms_automation")
    user = env["res.users"].create(
        {"name": "Automation", "login": LOGIN, "group_ids": [(6, 0, group.ids)]}
    )
keys = env["res.users.apikeys"].with_user(user).sudo()
keys.search([("user_id", "=", user.id), ("name", "=", KEY_NAME)])._remove()
key = keys._generate("rpc", KEY_NAME, None)
env.cr.commit()
print(key)
