import {MinutesField, minutesField} from "@qms_sop/components/minutes/minutes";
import {_t} from "@web/core/l10n/translation";
import {registry} from "@web/core/registry";

/**
 * Minutes, or why there are none: the label of the field that is called like this one
 * with "_status" behind, which has to be in the view as well.
 */
export class DurationField extends MinutesField {
    static template = "qms_incident.Duration";

    get isBlank() {
        return typeof this.props.record.data[this.props.name] !== "number";
    }

    get status() {
        return this.props.record.data[`${this.props.name}_status`];
    }

    get reason() {
        const {selection = []} =
            this.props.record.fields[`${this.props.name}_status`] || {};
        return (selection.find(([word]) => word === this.status) || ["", ""])[1];
    }
}

registry.category("fields").add("qms_duration", {
    ...minutesField,
    component: DurationField,
    displayName: _t("Duration in minutes, or why there is none"),
    isEmpty: () => false,
});
// Averages at the foot of a list and the cells of a pivot: there is no reason in them.
registry
    .category("formatters")
    .add("qms_duration", registry.category("formatters").get("qms_minutes"));
