import {Component, useState} from "@odoo/owl";
import {_t} from "@web/core/l10n/translation";
import {registry} from "@web/core/registry";
import {useService} from "@web/core/utils/hooks";
import {useRecordObserver} from "@web/model/relational_model/utils";
import {standardWidgetProps} from "@web/views/widgets/standard_widget_props";

const RUN_STEP = "qms.sop.run.step";

const DONE = ["completed", "skipped"];

const ICONS = {
    in_progress: "fa-play",
    waiting: "fa-pause",
    completed: "fa-check",
    failed: "fa-times",
    skipped: "fa-share",
};

/**
 * The steps of a run side by side, each in the colour of its state; a click
 * opens the step. Works on the form of a run, and on the form of a run step,
 * where it also leads to the step before and after.
 */
export class StepStrip extends Component {
    static template = "qms_sop.StepStrip";
    static props = {...standardWidgetProps};

    setup() {
        this.action = useService("action");
        this.orm = useService("orm");
        this.state = useState({steps: []});
        useRecordObserver(async (record) => {
            const runId = this.isStep ? record.data.run_id?.id : record.resId;
            // Read here, so that a changed state or progress loads the strip anew.
            [record.data.state, record.data.progress];
            this.state.steps = runId
                ? await this.orm.searchRead(
                      RUN_STEP,
                      [["run_id", "=", runId]],
                      ["number", "name", "state", "mandatory", "off_path"],
                      {order: "sequence, id"}
                  )
                : [];
        });
    }

    get isStep() {
        return this.props.record.resModel === RUN_STEP;
    }

    get runId() {
        const {record} = this.props;
        return this.isStep ? record.data.run_id?.id : record.resId;
    }

    get position() {
        return this.isStep
            ? this.state.steps.findIndex((step) => step.id === this.props.record.resId)
            : -1;
    }

    get previous() {
        return this.state.steps
            .slice(0, Math.max(this.position, 0))
            .findLast((step) => !step.off_path);
    }

    get next() {
        return this.position < 0
            ? undefined
            : this.state.steps.slice(this.position + 1).find((step) => !step.off_path);
    }

    /** Whether the step on the form is behind us, so that "next" comes next. */
    get isClosed() {
        return this.isStep && DONE.includes(this.props.record.data.state);
    }

    get isAllDone() {
        return this.isStep && this.state.steps.every(({state}) => DONE.includes(state));
    }

    icon(step) {
        return step.off_path ? undefined : ICONS[step.state];
    }

    hint(step) {
        const labels = {
            pending: _t("To do"),
            in_progress: _t("In progress"),
            waiting: _t("Waiting for approval"),
            completed: _t("Completed"),
            failed: _t("Failed"),
            skipped: _t("Skipped"),
        };
        const state = step.off_path ? _t("Not on this path") : labels[step.state];
        const optional = step.mandatory ? "" : ` · ${_t("optional")}`;
        return `${step.number}. ${step.name} · ${state}${optional}`;
    }

    openRun() {
        return this.action.doAction(
            {
                type: "ir.actions.act_window",
                res_model: "qms.sop.run",
                res_id: this.runId,
                views: [[false, "form"]],
            },
            {stackPosition: "replacePreviousAction"}
        );
    }

    async open(step) {
        if (step.id === this.props.record.resId && this.isStep) {
            return;
        }
        if (!(await this.props.record.save())) {
            return;
        }
        return this.action.doAction(
            {
                type: "ir.actions.act_window",
                res_model: RUN_STEP,
                res_id: step.id,
                views: [[false, "form"]],
            },
            {
                props: {resIds: this.state.steps.map(({id}) => id)},
                // From step to step the way back stays the run.
                ...(this.isStep && {stackPosition: "replaceCurrentAction"}),
            }
        );
    }
}

export const stepStrip = {component: StepStrip};

registry.category("view_widgets").add("qms_step_strip", stepStrip);
