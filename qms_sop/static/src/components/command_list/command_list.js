import {Component, useState} from "@odoo/owl";
import {CopyButton} from "@web/core/copy_button/copy_button";
import {_t} from "@web/core/l10n/translation";
import {registry} from "@web/core/registry";
import {standardFieldProps} from "@web/views/fields/standard_field_props";

/**
 * Commands as blocks to read and to copy, each with one click. Option
 * `purpose` shows only the commands of that purpose (`action` or
 * `verification`); option `filled` names a field with the commands as the run
 * fills them in (`qms.sop.run.step.filled_commands`).
 */
export class CommandList extends Component {
    static template = "qms_sop.CommandList";
    static components = {CopyButton};
    static props = {
        ...standardFieldProps,
        purpose: {type: String, optional: true},
        filled: {type: String, optional: true},
    };

    setup() {
        this.copied = _t("Copied");
        this.state = useState({asWritten: false});
    }

    get commands() {
        const {record, name, filled, purpose} = this.props;
        const filledIn = (filled && record.data[filled]) || {};
        return record.data[name].records
            .filter(({data}) => !purpose || data.purpose === purpose)
            .map(({id, resId, data}) => {
                const parts = filledIn[resId] || [{text: data.command}];
                return {
                    ...data,
                    key: id,
                    parts: this.state.asWritten ? [{text: data.command}] : parts,
                    text: this.state.asWritten
                        ? data.command
                        : parts.map(({text}) => text).join(""),
                    placeholders: parts.some((part) => part.kind),
                    missing: this.namesOf(parts, "missing"),
                    shell: this.namesOf(parts, "shell"),
                };
            });
    }

    namesOf(parts, wanted) {
        const names = parts.filter(({kind}) => kind === wanted).map(({name}) => name);
        return [...new Set(names)].join(", ");
    }

    hint({kind, written}) {
        return {
            value: _t("Filled in from the run for %s", written),
            missing: _t("The run does not say this yet"),
            shell: _t("To be set in the shell"),
        }[kind];
    }

    get toggleLabel() {
        return this.state.asWritten ? _t("Show filled in") : _t("Show as written");
    }

    toggle() {
        this.state.asWritten = !this.state.asWritten;
    }
}

export const commandList = {
    component: CommandList,
    displayName: _t("Commands to copy"),
    supportedTypes: ["one2many", "many2many"],
    relatedFields: [
        {name: "name", type: "char"},
        {name: "language", type: "char"},
        {name: "command", type: "text"},
        {name: "expected_output", type: "char"},
        {
            name: "purpose",
            type: "selection",
            selection: [
                ["action", _t("Action")],
                ["verification", _t("Verification")],
            ],
        },
        {name: "category_id", type: "many2one", relation: "qms.error.category"},
    ],
    extractProps: ({options}) => ({purpose: options.purpose, filled: options.filled}),
};

registry.category("fields").add("qms_commands", commandList);
