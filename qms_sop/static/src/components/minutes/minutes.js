import {Component} from "@odoo/owl";
import {_t} from "@web/core/l10n/translation";
import {registry} from "@web/core/registry";
import {standardFieldProps} from "@web/views/fields/standard_field_props";

/**
 * Minutes as people say them: "45 s", "12 min", "1 h 05 min", "2 d 3 h".
 * Unknown (`false`) stays blank: it is not zero.
 *
 * @param {number|false|null|undefined} value minutes
 * @returns {string}
 */
export function formatMinutes(value) {
    if (typeof value !== "number") {
        return "";
    }
    const seconds = Math.round(value * 60);
    if (seconds < 60) {
        return _t("%s s", seconds);
    }
    const minutes = Math.round(seconds / 60);
    if (minutes < 60) {
        return _t("%s min", minutes);
    }
    const hours = Math.floor(minutes / 60);
    if (hours < 24) {
        const rest = String(minutes % 60).padStart(2, "0");
        return _t("%(hours)s h %(minutes)s min", {hours, minutes: rest});
    }
    return _t("%(days)s d %(hours)s h", {
        days: Math.floor(hours / 24),
        hours: hours % 24,
    });
}

export class MinutesField extends Component {
    static template = "qms_sop.Minutes";
    static props = {
        ...standardFieldProps,
        zeroVaries: {type: Boolean, optional: true},
    };

    get text() {
        const value = this.props.record.data[this.props.name];
        return this.props.zeroVaries && value === 0
            ? _t("varies")
            : formatMinutes(value);
    }
}

export const minutesField = {
    component: MinutesField,
    displayName: _t("Duration in minutes"),
    supportedTypes: ["float", "integer"],
    supportedOptions: [
        {
            label: _t("0 means that the time varies"),
            name: "zero_varies",
            type: "boolean",
        },
    ],
    extractProps: ({options}) => ({zeroVaries: Boolean(options.zero_varies)}),
    isEmpty: (record, fieldName) => typeof record.data[fieldName] !== "number",
};

registry.category("fields").add("qms_minutes", minutesField);
// Averages at the foot of a list are formatted with this one.
registry.category("formatters").add("qms_minutes", formatMinutes);
