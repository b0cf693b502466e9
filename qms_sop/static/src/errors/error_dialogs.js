import {_t} from "@web/core/l10n/translation";
import {WarningDialog} from "@web/core/errors/error_dialogs";
import {registry} from "@web/core/registry";

/**
 * Refusals that are more than a UserError (they have a status in the REST API), shown
 * to people as what they are: a sentence, not a crash.
 */
export class RefusalDialog extends WarningDialog {
    inferTitle() {
        return _t("Invalid Operation");
    }
}

for (const name of [
    "faults.KeyReusedError",
    "faults.StaleVersionError",
    "faults.TooLargeError",
    "signing.SigningLockedError",
    "signing.SigningRefusedError",
]) {
    registry
        .category("error_dialogs")
        .add(`odoo.addons.qms_sop.tools.${name}`, RefusalDialog);
}
