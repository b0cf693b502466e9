import {_t} from "@web/core/l10n/translation";
import {registry} from "@web/core/registry";
import {X2ManyField, x2ManyField} from "@web/views/fields/x2many/x2many_field";

/**
 * A list whose rows open as a page, not as a dialog: a step is a screen to work
 * on, with a pager that leads through its neighbours.
 */
export class PageX2ManyField extends X2ManyField {
    async openRecord(record) {
        return this.switchToForm(record, {});
    }
}

export const pageX2ManyField = {
    ...x2ManyField,
    component: PageX2ManyField,
    displayName: _t("Relational table, rows open as pages"),
};

registry.category("fields").add("qms_page_x2many", pageX2ManyField);
