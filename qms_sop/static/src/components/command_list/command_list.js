import {Component} from "@odoo/owl";
import {CopyButton} from "@web/core/copy_button/copy_button";
import {_t} from "@web/core/l10n/translation";
import {registry} from "@web/core/registry";
import {standardFieldProps} from "@web/views/fields/standard_field_props";

/**
 * Commands as blocks to read and to copy, each with one click. Option
 * `purpose` shows only the commands of that purpose (`action` or
 * `verification`).
 */
export class CommandList extends Component {
    static template = "qms_sop.CommandList";
    static components = {CopyButton};
    static props = {
        ...standardFieldProps,
        purpose: {type: String, optional: true},
    };

    setup() {
        this.copied = _t("Copied");
    }

    get commands() {
        return this.props.record.data[this.props.name].records
            .map(({id, data}) => ({...data, key: id}))
            .filter(
                ({purpose}) => !this.props.purpose || purpose === this.props.purpose
            );
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
    extractProps: ({options}) => ({purpose: options.purpose}),
};

registry.category("fields").add("qms_commands", commandList);
