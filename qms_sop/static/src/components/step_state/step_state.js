import {_t} from "@web/core/l10n/translation";
import {registry} from "@web/core/registry";
import {BadgeField, badgeField} from "@web/views/fields/badge/badge_field";

/** The state of a step of a run; an answer that led past it says more. */
export class StepStateField extends BadgeField {
    get formattedValue() {
        return this.props.record.data.off_path
            ? _t("Not on this path")
            : super.formattedValue;
    }
}

export const stepStateField = {
    ...badgeField,
    component: StepStateField,
    fieldDependencies: [{name: "off_path", type: "boolean"}],
};

registry.category("fields").add("qms_step_state", stepStateField);
