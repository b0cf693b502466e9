from odoo.tests import TransactionCase, tagged

# The example at the end of SOP-TRIAGE-001, to the letter: it is a contract.
ORM_EXAMPLE = """\
# Example: Create and track SOP run
from odoo import api, fields, models

# Create SOP run
sop = env['qms.sop.document'].search([('code', '=', 'SOP-TRIAGE-001')], limit=1)
run = env['qms.sop.run'].create({
    'sop_id': sop.id,
    'state': 'in_progress',
})

# Execute each step
for step in sop.step_ids:
    run_step = env['qms.sop.run.step'].create({
        'run_id': run.id,
        'step_id': step.id,
        'state': 'in_progress',
    })

    # Perform step actions
    try:
        result = execute_step(step)
        run_step.write({
            'state': 'completed',
            'actual_result': result,
        })
    except Exception as e:
        # Log error
        error_code = env['qms.error.code'].search([('name', '=', 'STEP_FAILURE')], limit=1)
        env['qms.sop.run.error'].create({
            'run_id': run.id,
            'step_id': run_step.id,
            'error_code_id': error_code.id,
            'error_message': str(e),
        })
        run_step.write({'state': 'failed'})
        break

# Complete run
run.write({
    'state': 'completed' if all(s.state == 'completed' for s in run.step_ids) else 'failed',
    'end_time': fields.Datetime.now(),
})
"""  # noqa: E501


@tagged("post_install", "-at_install")
class TestOrmExample(TransactionCase):
    def run_example(self, execute_step):
        names = {"env": self.env, "execute_step": execute_step}
        exec(ORM_EXAMPLE, names)  # pylint: disable=exec-used
        self.env.flush_all()
        return names["sop"], names["run"]

    def test_success(self):
        sop, run = self.run_example(lambda step: f"{step.name}: as expected")
        self.assertEqual((sop.code, sop.version), ("SOP-TRIAGE-001", "1.0.0"))
        self.assertEqual(run.state, "completed")
        self.assertEqual(len(run.step_ids), 6)
        self.assertEqual(set(run.step_ids.mapped("state")), {"completed"})
        self.assertEqual(
            run.step_ids[0].actual_result, f"{sop.step_ids[0].name}: as expected"
        )
        self.assertFalse(run.error_ids)
        self.assertTrue(run.start_time and run.end_time)
        self.assertGreaterEqual(run.duration, 0)

    def test_failure(self):
        def execute_step(step):
            if step.number == 3:
                raise RuntimeError("psql: connection refused")
            return "ok"

        _sop, run = self.run_example(execute_step)
        self.assertEqual(run.state, "failed")
        self.assertEqual(
            run.step_ids.mapped("state"), ["completed", "completed", "failed"]
        )
        self.assertEqual(run.error_ids.error_code_id.name, "STEP_FAILURE")
        self.assertEqual(run.error_ids.error_message, "psql: connection refused")
        self.assertEqual(run.error_ids.step_id, run.step_ids[2])
