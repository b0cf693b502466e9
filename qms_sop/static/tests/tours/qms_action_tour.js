import {registry} from "@web/core/registry";

const tours = registry.category("web_tour.tours");

const inState = (label) => ({
    content: `The action is ${label}`,
    trigger: `.o_statusbar_status .o_arrow_button_current:contains(${label})`,
});

tours.add("qms_action_work_tour", {
    steps: () => [
        {
            content: "An analysis asks for an action",
            trigger: "button[name=action_raise_action]",
            run: "click",
        },
        {
            trigger: "div[name=name] textarea, div[name=name] input",
            run: "edit Close connections in finally blocks",
        },
        {trigger: ".o_form_button_save", run: "click"},
        {
            content: "It is numbered by its source",
            trigger: "div[name=reference]:contains(/AI-001)",
        },
        {trigger: "button[name=action_start]", run: "click"},
        inState("In progress"),
        {trigger: ".o_statusbar_buttons button:contains(Done)", run: "click"},
        {
            content: "Done needs what was done",
            trigger: ".modal div[name=result] textarea",
            run: "edit All handlers have one.",
        },
        {trigger: ".modal button[name=action_confirm]", run: "click"},
        inState("Done, to be checked"),
        {
            content: "Nobody signs the own work",
            trigger:
                ".o_form_view:not(:has(button[name=action_sign_effective]:visible))",
        },
        {trigger: "div[name=result]:contains(All handlers have one.)"},
    ],
});

tours.add("qms_action_check_tour", {
    steps: () => [
        {trigger: ".o_kanban_record:contains(Add a migration check)", run: "click"},
        inState("Done, to be checked"),
        {
            trigger: "div[name=effectiveness] textarea",
            run: "edit No failure since.",
        },
        {trigger: "button[name=action_sign_effective]", run: "click"},
        {trigger: ".modal .o_qms_signing:contains(/AI-001)"},
        {
            trigger: ".modal div[name=password] input",
            run: "edit qms_manager",
        },
        {trigger: ".modal button[name=action_sign]:visible", run: "click"},
        inState("Effective"),
        {
            content: "The signature is shown, and valid",
            trigger:
                "div[name=signature_ids] .o_data_row:contains(Verified):contains(Valid)",
        },
    ],
});
