import {registry} from "@web/core/registry";

const tours = registry.category("web_tour.tours");

const inState = (label) => ({
    content: `The record is ${label}`,
    trigger: `.o_statusbar_status .o_arrow_button_current:contains(${label})`,
});

tours.add("qms_sop_sign_tour", {
    steps: () => [
        inState("In review"),
        {trigger: "button[name=action_approve]", run: "click"},
        {
            content: "The dialog says what is signed, and as what",
            trigger: ".modal .o_qms_signing:contains(SOP-SIGN-001)",
        },
        {trigger: ".modal div[name=signer]:contains(qms_manager)"},
        {trigger: ".modal div[name=comment] textarea", run: "edit Read twice."},
        {
            content: "Nobody reads the password over a shoulder",
            trigger: ".modal div[name=password] input[type=password]",
            run: "edit wrong",
        },
        {trigger: ".modal button[name=action_sign]:visible", run: "click"},
        {
            content: "A wrong password is refused, and it is said how often",
            trigger: ".o_error_dialog:contains(2 more)",
        },
        {trigger: ".o_error_dialog .btn-primary", run: "click"},
        {
            trigger: ".modal div[name=password] input",
            run: "edit qms_manager",
        },
        {trigger: ".modal button[name=action_sign]:visible", run: "click"},
        inState("Approved"),
        {trigger: ".nav-link[name=signatures]", run: "click"},
        {
            content: "The signature is shown, and valid",
            trigger:
                "div[name=signature_ids] .o_data_row:contains(Approved):contains(Valid)",
        },
    ],
});

tours.add("qms_sop_sign_closing_tour", {
    steps: () => [
        {trigger: ".o_qms_unsigned:contains(Closing signature missing)"},
        {trigger: "button[name=action_sign_closing]", run: "click"},
        {trigger: ".modal .o_qms_signing:contains(RUN-)"},
        {
            trigger: ".modal div[name=password] input",
            run: "edit qms_operator",
        },
        {trigger: ".modal button[name=action_sign]:visible", run: "click"},
        {trigger: ".nav-link[name=signatures]", run: "click"},
        {
            trigger:
                "div[name=signature_ids] .o_data_row:contains(Closed):contains(Valid)",
        },
        {trigger: ".o_form_view:not(:has(.o_qms_unsigned:visible))"},
    ],
});
