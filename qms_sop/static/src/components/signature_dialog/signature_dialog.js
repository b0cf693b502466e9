import {_t} from "@web/core/l10n/translation";
import {registry} from "@web/core/registry";
import {useService} from "@web/core/utils/hooks";
import {FormController} from "@web/views/form/form_controller";
import {formView} from "@web/views/form/form_view";

// Of Odoo's module for passkeys, which need not be installed
const PASSKEY_LIBRARY = "@auth_passkey/../lib/simplewebauthn";

/** The dialog for signing: asks the passkey, when one is to be used. */
export class SignatureDialogController extends FormController {
    setup() {
        super.setup();
        this.notification = useService("notification");
    }

    /** @override */
    async beforeExecuteActionButton(clickParams) {
        // First saved: what the passkey is asked for includes the meaning.
        const saved = await super.beforeExecuteActionButton(clickParams);
        if (saved === false || clickParams.name !== "action_sign_with_passkey") {
            return saved;
        }
        const answer = await this.askPasskey();
        clickParams.buttonContext = {passkey: JSON.stringify(answer)};
        return Boolean(answer);
    }

    async askPasskey() {
        const {resModel, resId} = this.model.root;
        const options = await this.orm.call(resModel, "begin_passkey", [[resId]]);
        try {
            const library = odoo.loader.modules.get(PASSKEY_LIBRARY);
            return await library.startAuthentication(options);
        } catch (error) {
            // Discarded by the person, or there is none on this device
            this.notification.add(
                _t("The passkey was not used: nothing is signed. %s", error.message),
                {type: "warning"}
            );
            return null;
        }
    }
}

registry.category("views").add("qms_signature_dialog_form", {
    ...formView,
    Controller: SignatureDialogController,
});
